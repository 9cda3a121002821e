"""Rows of the tables on standard output."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

COLUMNS = {"acc2_has0": "has0", "acc2_non0": "non0", "acc7": "Acc7", "mae": "MAE", "corr": "Corr"}
"""Columns of rows with scores; ``--json`` prints all metrics. `stream.training.metrics.score_numbers` defines has0 and non0."""

CLASS_COLUMNS = {"accuracy": "accuracy", "weighted_f1": "weighted F1", "macro_f1": "macro F1"}
"""Columns of rows with polarities only."""


def print_rows(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print one JSON object for each row, or a table of the rows with scores and a table of the others."""
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
