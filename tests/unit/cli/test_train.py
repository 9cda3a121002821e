"""The commands that train, measure and export the served models: in a checkout, and nowhere else."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from stream.cli import main, train
from stream.config.project import PROJECT_ROOT

COMMANDS = ("train", "evaluate")
ROW = PROJECT_ROOT / "research" / "configs" / "bclstm" / "mmci.yaml"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[typer.Typer]:
    """The command line as an installed wheel has it."""
    monkeypatch.setattr(train, "IN_CHECKOUT", False)
    yield importlib.reload(main).app
    monkeypatch.undo()
    importlib.reload(main)


def test_a_checkout_offers_them() -> None:
    shown = CliRunner().invoke(main.app, ["--help"]).stdout
    assert all(f" {command} " in shown for command in COMMANDS)


def test_a_wheel_hides_them_and_says_where_they_work(installed: typer.Typer, tmp_path: Path) -> None:
    shown = CliRunner().invoke(installed, ["--help"]).stdout
    assert not any(f" {command} " in shown for command in COMMANDS)
    for arguments in (["train", "live.yaml", "--data", str(tmp_path)], ["evaluate", "--data", str(tmp_path)], ["models", "export"]):
        result = CliRunner().invoke(installed, arguments)
        assert result.exit_code == 1
        assert "works from a checkout only" in result.stderr


def test_a_wheel_revises_a_word_with_a_store_and_nothing_else(installed: typer.Typer, tmp_path: Path) -> None:
    assert " revise " in CliRunner().invoke(installed, ["--help"]).stdout
    for options in ([], ["--relief", "projection"]):
        result = CliRunner().invoke(installed, ["revise", "word um", "--data", str(tmp_path), *options])
        assert result.exit_code == 1
        assert "--relief projection --store" in " ".join(result.stderr.split())


def test_the_folder_of_the_corpora_has_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SENTISTREAM_DATA", raising=False)
    result = CliRunner().invoke(main.app, ["train", train.RECIPE])
    assert result.exit_code == 2
    assert "--data" in result.stderr


def test_a_row_of_the_research_tables_is_sent_to_its_program(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    result = CliRunner().invoke(main.app, ["train", str(ROW), "--data", str(tmp_path)])
    assert result.exit_code == 2
    assert "python -m research.train" in result.stderr


def test_missing_corpora_and_checkpoints_are_named(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    recipe = str(PROJECT_ROOT / train.RECIPE)
    result = CliRunner().invoke(main.app, ["train", recipe, "--quick", "--data", str(tmp_path), "--runs", str(tmp_path)])
    assert result.exit_code == 1
    assert "labels.csv: not found" in result.stderr
    result = CliRunner().invoke(main.app, ["evaluate", "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "utterances.csv: not found" in result.stderr
    result = CliRunner().invoke(main.app, ["models", "export", "--runs", str(tmp_path)])
    assert result.exit_code == 1
    assert f"sentistream train {train.RECIPE}" in result.stderr
