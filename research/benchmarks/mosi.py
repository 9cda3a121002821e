"""CMU-MOSI: every model on the bc-LSTM split and on the standard split, in two separate tables.

python -m research.benchmarks.mosi [--quick]     progress on stderr, one JSON object as the last line

The rows are the files in research/configs/bclstm and research/configs/std. Seeds that are finished in --runs are not trained
again, so an interrupted run resumes. A run without --quick writes research/benchmarks/results/mosi.json and the tables of
docs/research/model.md. --quick trains a few rows with two seeds and takes the others from that file, marked "stored".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rich.table import Table

from benchmarks.machine import machine, versions
from benchmarks.markdown import markdown_table
from research.command_line import console, errors_as_sentences, folders_of, parser_of, progress_bars
from research.experiments.config import ExperimentConfig, read_config
from research.experiments.run import Folders, is_finished, run
from research.pages import MODEL_PAGE, RESULTS, fill_page, read_result, write_result
from stream.config.project import PROJECT_ROOT

CONFIGS = PROJECT_ROOT / "research" / "configs"
STORED = RESULTS / "mosi.json"
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


def experiments(table: str) -> list[ExperimentConfig]:
    """The rows of one table."""
    return [read_config(file) for file in sorted((CONFIGS / table).glob("*.yaml"))]


def row_of(result: Row) -> Row:
    """The numbers of a row that the benchmark reports."""
    calibration = {name: round(value, 4) for name, value in result.get("calibration", {}).items()}
    return {
        **{name: round(result[name], 4) for name in NUMBERS},
        "sd": {name: round(result["sd"][name], 4) for name in NUMBERS},
        "seeds": result["seeds"],
        "interval": {name: [round(end, 4) for end in ends] for name, ends in result["interval"].items()},
        "note": result["note"],
        **({"calibration": calibration} if calibration else {}),
    }


def measure(folders: Folders, *, quick: bool, chosen: Callable[[ExperimentConfig], bool]) -> dict[str, dict[str, Row]]:
    """Measure both tables; rows that are not chosen come from `STORED`, if it has them."""
    stored = read_result(STORED)
    tables: dict[str, dict[str, Row]] = {}
    with progress_bars() as progress:
        for table in TABLES:
            tables[table] = {}
            for config in experiments(table):
                name = config.name.removeprefix(f"{table}-")
                if chosen(config):
                    own = config.model_copy(update={"seeds": QUICK_SEEDS}) if quick else config
                    tables[table][name] = row_of(run(own, folders, progress))
                elif name in stored.get(table, {}):
                    tables[table][name] = stored[table][name] | ({"stored": True} if quick else {})
    return tables


def show(tables: dict[str, dict[str, Row]]) -> None:
    """Print the tables on stderr."""
    for title, rows in tables.items():
        shown = Table("model", *NUMBERS, "seeds", "note", title=title)
        for name, row in rows.items():
            cells = [f"{row[number]:.3f} ± {row['sd'][number]:.3f}" for number in NUMBERS]
            shown.add_row(name, *cells, str(row["seeds"]) + (" stored" if row.get("stored") else ""), row["note"])
        console.print(shown)


def markdown(rows: dict[str, Row]) -> str:
    """One table of docs/research/model.md, in the order of the has0 accuracy."""
    lines = []
    for name, row in sorted(rows.items(), key=lambda item: float(item[1]["acc2_has0"])):
        low, high = row["interval"]["acc2_has0"]
        numbers = [f"{row[number]:.3f} ± {row['sd'][number]:.3f}" for number in NUMBERS]
        lines.append([f"`{name}`", numbers[0], f"{low:.3f}-{high:.3f}", *numbers[1:], str(row["seeds"]), row["note"]])
    return markdown_table(["row", "Acc2 has0", "95 %", "Acc2 non0", "F1 has0", "Acc7", "MAE", "Corr", "seeds", ""], lines)


def fill_tables_of(result: Mapping[str, dict[str, Row]]) -> bool:
    """Fill this benchmark's tables of docs/research/model.md; returns whether the page changed."""
    return fill_page(MODEL_PAGE, {table: partial(markdown, result[table]) for table in TABLES}, of="mosi")


def main() -> None:
    """Run the benchmark and print its result."""
    parser = parser_of("research.benchmarks.mosi", __doc__)
    parser.add_argument("--quick", action="store_true", help="train a few rows with two seeds; take the others from the stored full run")
    parser.add_argument("--only", default="", metavar="TEXT", help="train only rows whose name contains TEXT; take the others as stored")
    parser.add_argument("--finished", action="store_true", help="train nothing: measure the finished rows; take the others as stored")
    options = parser.parse_args()
    folders = folders_of(options)

    def chosen(config: ExperimentConfig) -> bool:
        wanted = options.only in config.name and (not options.quick or config.name in QUICK_ROWS)
        return wanted and (not options.finished or is_finished(config, folders))

    with errors_as_sentences():
        tables = measure(folders, quick=options.quick, chosen=chosen)
    show(tables)
    surroundings = {"machine": machine(), "versions": versions("torch", "numpy")}
    if not options.quick:
        write_result(STORED, tables | surroundings)
        fill_tables_of(tables)
    print(json.dumps({"benchmark": "mosi", "quick": options.quick, **tables, **surroundings}))


if __name__ == "__main__":
    main()
