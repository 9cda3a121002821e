"""The pages of docs/research and the stored results that their tables are filled from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.markdown import fill_tables
from stream.config.project import PROJECT_ROOT
from stream.training.files import replace_text

RESULTS = PROJECT_ROOT / "research" / "benchmarks" / "results"
MODEL_PAGE = PROJECT_ROOT / "docs" / "research" / "model.md"
VOICES_PAGE = PROJECT_ROOT / "docs" / "research" / "voices.md"
EXPLANATIONS_PAGE = PROJECT_ROOT / "docs" / "explanations.md"
DIGITS_PAGE = PROJECT_ROOT / "docs" / "research" / "digits.md"


def read_result(file: Path) -> dict[str, Any]:
    """Read the stored result of a benchmark; empty if there is none."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def write_result(file: Path, result: Mapping[str, Any]) -> None:
    """Store the result of a full run."""
    replace_text(file, json.dumps(result, indent=1) + "\n")


def fill_page(page: Path, tables: Mapping[str, Callable[[], str]], *, of: str = "") -> bool:
    """Fill a page's tables, see `benchmarks.markdown.fill_tables`; returns whether the page changed."""
    before = page.read_text(encoding="utf-8")
    after = fill_tables(before, tables, of=of)
    if after != before:
        replace_text(page, after)
    return after != before
