"""The tables of the benchmark: which rows are trained, which come from the stored run, and the format of a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from research.benchmarks import mosi
from research.experiments.config import ExperimentConfig
from research.experiments.run import Folders

RESULT = dict.fromkeys(mosi.NUMBERS, 0.5) | {"sd": dict.fromkeys(mosi.NUMBERS, 0.1), "interval": {"mae": (0.4, 0.6)}, "note": "x"}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    names: list[str] = []

    def fake_run(config: ExperimentConfig, folders: Folders, progress: object) -> dict[str, Any]:
        del folders, progress
        names.append(config.name)
        return RESULT | {"seeds": config.seeds}

    stored = tmp_path / "mosi.json"
    stored.write_text(json.dumps({"std": {"mmci": {"acc2_has0": 0.8}}, "bclstm": {}}), encoding="utf-8")
    monkeypatch.setattr(mosi, "run", fake_run)
    monkeypatch.setattr(mosi, "STORED", stored)
    return names


def test_a_quick_run_trains_few_rows_with_two_seeds_and_marks_stored_rows(trained: list[str], tmp_path: Path) -> None:
    tables = mosi.measure(Folders(tmp_path, tmp_path, tmp_path), quick=True, chosen=lambda config: config.name in mosi.QUICK_ROWS)
    assert set(trained) == mosi.QUICK_ROWS
    assert tables["bclstm"]["fusion"]["seeds"] == 2
    assert tables["std"]["mmci"] == {"acc2_has0": 0.8, "stored": True}
    assert "tfn" not in tables["std"], "a row that was never measured is not in the table"


def test_a_full_run_trains_every_row(trained: list[str], tmp_path: Path) -> None:
    tables = mosi.measure(Folders(tmp_path, tmp_path, tmp_path), quick=False, chosen=lambda _: True)
    assert {name for name in trained if name.startswith("std-")} == {config.name for config in mosi.experiments("std")}
    assert set(tables["bclstm"]["tfn"]) == {*mosi.NUMBERS, "sd", "seeds", "interval", "note"}
    assert {"text-only", "late-fusion", "tfn", "lmf", "mult", "misa", "self-mm", "bc-lstm", "rgcn", "mmci-cal", "mmci"} <= set(
        tables["bclstm"]
    )


def test_a_row_is_formatted_with_deviation_and_interval() -> None:
    row = mosi.row_of(RESULT | {"seeds": 5, "interval": {"acc2_has0": (0.4, 0.6)}})
    assert "| `mmci` | 0.500 ± 0.100 | 0.400-0.600 |" in mosi.markdown({"mmci": row})


def test_rows_that_are_not_chosen_are_kept(trained: list[str], tmp_path: Path) -> None:
    tables = mosi.measure(Folders(tmp_path, tmp_path, tmp_path), quick=False, chosen=lambda config: config.name == "bclstm-tfn")
    assert trained == ["bclstm-tfn"]
    assert tables["std"] == {"mmci": {"acc2_has0": 0.8}}
