"""Rows of the tables on standard output."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

COLUMNS = {"acc2_has0": "has0", "acc2_non0": "non0", "acc7": "Acc7", "mae": "MAE", "corr": "Corr"}
"""Of rows with scores; ``--json`` has all numbers. has0 and non0 are explained in `stream.training.metrics.score_numbers`."""

CLASS_COLUMNS = {"accuracy": "accuracy", "weighted_f1": "weighted F1", "macro_f1": "macro F1"}
"""Of rows that only have polarities."""


def print_rows(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """One JSON object a row, or a table of the rows with scores and a table of the others."""
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    for columns in (COLUMNS, CLASS_COLUMNS):
        shown = [row for row in rows if next(iter(columns)) in row]
        if shown:
            Console().print(_table(shown, columns))


def _table(rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for header in ("row", "seeds", *columns.values()):
        table.add_column(header, no_wrap=True)
    for row in rows:
        cells = [f"{row[name]:.3f}\n[dim]±{row['sd'][name]:.3f}[/]" for name in columns]
        table.add_row(row["name"], str(row["seeds"]), *cells)
    return table
