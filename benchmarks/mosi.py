"""CMU-MOSI: every model on the bc-LSTM split and on the standard split; two tables that are never mixed.

python -m benchmarks.mosi [--quick]     progress on stderr, one JSON object as the last line

The rows are the files in configs/experiments/bclstm and configs/experiments/std. Seeds that are finished in --runs are not
trained again, so a run that was stopped goes on. A run without --quick writes benchmarks/results/mosi.json and the tables of
docs/model.md; --quick trains a few rows with two seeds and takes the others from there, marked "stored".
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.machine import machine, versions
from stream.config.settings import PROJECT_ROOT
from stream.training.experiments.config import ExperimentConfig, ExperimentError, read_config
from stream.training.experiments.run import Places, is_finished, run
from stream.training.export import replace_text
from stream.training.markdown import fill_tables, markdown_table

EXPERIMENTS = PROJECT_ROOT / "configs" / "experiments"
STORED = Path(__file__).parent / "results" / "mosi.json"
PAGE = PROJECT_ROOT / "docs" / "model.md"
TABLES = ("bclstm", "std")
NUMBERS = ("acc2_has0", "acc2_non0", "f1", "acc7", "mae", "corr")
QUICK_ROWS = {
    "bclstm-text-only",
    "bclstm-fusion",
    "bclstm-rgcn",
    "bclstm-reviews-text-only",
    "bclstm-reviews-fusion",
    "std-text-only",
    "std-fusion",
    "std-late-fusion",
}
QUICK_SEEDS = 2

Row = dict[str, Any]
console = Console(stderr=True)


def experiments(table: str) -> list[ExperimentConfig]:
    """The rows of one table."""
    found = [read_config(file) for file in sorted((EXPERIMENTS / table).glob("*.yaml"))]
    return [config for config in found if isinstance(config, ExperimentConfig)]


def row_of(result: Row) -> Row:
    """What the benchmark reports of a row."""
    calibration = {name: round(value, 4) for name, value in result.get("calibration", {}).items()}
    return {
        **{name: round(result[name], 4) for name in NUMBERS},
        "sd": {name: round(result["sd"][name], 4) for name in NUMBERS},
        "seeds": result["seeds"],
        "interval": {name: [round(end, 4) for end in ends] for name, ends in result["interval"].items()},
        "note": result["note"],
        **({"calibration": calibration} if calibration else {}),
    }


def measure(places: Places, *, quick: bool, chosen: Callable[[ExperimentConfig], bool]) -> dict[str, dict[str, Row]]:
    """Both tables; rows that are not chosen come from `STORED` where it has them."""
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.is_file() else {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    tables: dict[str, dict[str, Row]] = {}
    with Progress(*columns, console=console) as progress:
        for table in TABLES:
            tables[table] = {}
            for config in experiments(table):
                name = config.name.removeprefix(f"{table}-")
                if chosen(config):
                    own = config.model_copy(update={"seeds": QUICK_SEEDS}) if quick else config
                    tables[table][name] = row_of(run(own, places, progress))
                elif name in stored.get(table, {}):
                    tables[table][name] = stored[table][name] | ({"stored": True} if quick else {})
    return tables


def show(tables: dict[str, dict[str, Row]]) -> None:
    """The tables on stderr."""
    for title, rows in tables.items():
        shown = Table("model", *NUMBERS, "seeds", "note", title=title)
        for name, row in rows.items():
            cells = [f"{row[number]:.3f} ± {row['sd'][number]:.3f}" for number in NUMBERS]
            shown.add_row(name, *cells, str(row["seeds"]) + (" stored" if row.get("stored") else ""), row["note"])
        console.print(shown)


def markdown(rows: dict[str, Row]) -> str:
    """One table of docs/model.md, the best has0 accuracy last."""
    lines = []
    for name, row in sorted(rows.items(), key=lambda item: float(item[1]["acc2_has0"])):
        low, high = row["interval"]["acc2_has0"]
        numbers = [f"{row[number]:.3f} ± {row['sd'][number]:.3f}" for number in NUMBERS]
        lines.append([f"`{name}`", numbers[0], f"{low:.3f}-{high:.3f}", *numbers[1:], str(row["seeds"]), row["note"]])
    return markdown_table(["row", "Acc2 has0", "95 %", "Acc2 non0", "F1 has0", "Acc7", "MAE", "Corr", "seeds", ""], lines)


def main() -> int:
    """Train what is missing, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few rows with two seeds, the others from the stored full run")
    parser.add_argument("--only", default="", metavar="TEXT", help="train only rows whose name contains this; the others as stored")
    parser.add_argument("--runs", type=Path, help="folder of checkpoints and numbers; default: runs, with --quick runs/quick")
    parser.add_argument("--finished", action="store_true", help="train nothing: rows whose seeds are finished, the others as stored")
    options = parser.parse_args()
    data = Path(os.environ.get("SENTISTREAM_DATA", PROJECT_ROOT.parent / "shared" / "data"))
    runs = options.runs or Path("runs/quick" if options.quick else "runs")
    places = Places(data, runs, PROJECT_ROOT / "triton_models")

    def chosen(config: ExperimentConfig) -> bool:
        wanted = options.only in config.name and (not options.quick or config.name in QUICK_ROWS)
        return wanted and (not options.finished or is_finished(config, places))

    try:
        tables = measure(places, quick=options.quick, chosen=chosen)
    except ExperimentError as error:
        console.print(str(error))
        return 2
    show(tables)
    surroundings = {"machine": machine(), "versions": versions("torch", "numpy")}
    if not options.quick:
        replace_text(STORED, json.dumps(tables | surroundings, indent=1) + "\n")
        fillers = {title: partial(markdown, table) for title, table in tables.items()}
        replace_text(PAGE, fill_tables(PAGE.read_text(encoding="utf-8"), fillers, of="mosi"))
    print(json.dumps({"benchmark": "mosi", "quick": options.quick, **tables, **surroundings}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
