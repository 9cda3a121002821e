"""The files of rules in configs/."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.config.project import PROJECT_ROOT
from stream.rules.read import read_rules

FILES = [file for file in sorted((PROJECT_ROOT / "configs").glob("*.yaml")) if "\nrules:\n" in file.read_text()]


def test_both_are_here() -> None:
    assert [file.name for file in FILES] == ["broadcast.yaml", "call-center.yaml"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_shipped_file_has_no_mistake(file: Path) -> None:
    assert read_rules(file).rules
