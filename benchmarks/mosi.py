"""CMU-MOSI: every model on the bc-LSTM split and on the standard split; two tables that are never mixed.

python -m benchmarks.mosi [--quick]     progress on stderr, one JSON object as the last line

The rows are the files in configs/experiments/bclstm and configs/experiments/std. Seeds that are finished in --runs are not
trained again, so a run that was stopped goes on. A run without --quick writes benchmarks/results/mosi.json; --quick trains a few rows
with two seeds and takes the others from there, marked "stored".
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.machine import machine, versions
from stream.config.settings import PROJECT_ROOT
from stream.training.experiments.config import ExperimentConfig, ExperimentError, read_config
from stream.training.experiments.run import Places, run
from stream.training.export import replace_text

EXPERIMENTS = PROJECT_ROOT / "configs" / "experiments"
STORED = Path(__file__).parent / "results" / "mosi.json"
TABLES = ("bclstm", "std")
START = EXPERIMENTS / "meld-text.yaml"
NUMBERS = ("acc2_has0", "acc2_non0", "f1", "acc7", "mae", "corr")
QUICK_ROWS = {
    "bclstm-text-only",
    "bclstm-late-fusion",
    "bclstm-bc-lstm",
    "bclstm-rgcn",
    "bclstm-mmci",
    "std-minilm-text-only",
    "std-minilm-mmci",
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
    return {
        **{name: round(result[name], 4) for name in NUMBERS},
        "sd": {name: round(result["sd"][name], 4) for name in NUMBERS},
        "seeds": result["seeds"],
        "interval": {name: [round(end, 4) for end in ends] for name, ends in result["interval"].items()},
        "note": result["note"],
    }


def measure(places: Places, *, quick: bool, only: str) -> dict[str, dict[str, Row]]:
    """Both tables; rows that are not trained now come from `STORED` where it has them."""
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.is_file() else {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    tables: dict[str, dict[str, Row]] = {}
    with Progress(*columns, console=console) as progress:
        for table in TABLES:
            tables[table] = {}
            for config in experiments(table):
                name = config.name.removeprefix(f"{table}-")
                if only in config.name and (not quick or config.name in QUICK_ROWS):
                    if config.data.text_start:
                        run(_start(), places, progress)
                    chosen = config.model_copy(update={"seeds": QUICK_SEEDS}) if quick else config
                    tables[table][name] = row_of(run(chosen, places, progress))
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


def _start() -> ExperimentConfig:
    config = read_config(START)
    if not isinstance(config, ExperimentConfig):
        raise ExperimentError(f"{START.name} is not an experiment")
    return config


def main() -> int:
    """Train what is missing, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few rows with two seeds, the others from the stored full run")
    parser.add_argument("--only", default="", metavar="TEXT", help="train only rows whose name contains this; the others as stored")
    parser.add_argument("--runs", type=Path, help="folder of checkpoints and numbers; default: runs, with --quick runs/quick")
    options = parser.parse_args()
    data = Path(os.environ.get("SENTISTREAM_DATA", PROJECT_ROOT.parent / "shared" / "data"))
    runs = options.runs or Path("runs/quick" if options.quick else "runs")
    try:
        tables = measure(Places(data, runs, PROJECT_ROOT / "triton_models"), quick=options.quick, only=options.only)
    except ExperimentError as error:
        console.print(str(error))
        return 2
    show(tables)
    surroundings = {"machine": machine(), "versions": versions("torch", "numpy")}
    if not options.quick:
        replace_text(STORED, json.dumps(tables | surroundings, indent=1) + "\n")
    print(json.dumps({"benchmark": "mosi", "quick": options.quick, **tables, **surroundings}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
