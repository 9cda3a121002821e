"""Spoken-digit images: are the answers right, and do the explanations say where the digit is?

python -m benchmarks.xai_digits [--quick] [--seeds N] [--gather]    progress on stderr, one JSON object as the last line

The experiment of arXiv 2510.12957 (attention fusion, Grad-CAM++, Reveal-to-Revise on digits; 93.2 % accuracy, 91.6 % macro F1, 78.1 %
IoU), rebuilt from real parts in a harder form: research/digits. The object has `accuracy`, `macro_f1`, `iou_xai` and
`accuracy_heldout_speaker` of the row "ours", `flipped_after_loop` of the biased task, and `rows`: row -> what was measured -> mean and
standard deviation over the seeds.

Numbers of each row and seed are kept in --runs, so that a run can be continued. A run stores its result in
research/benchmarks/results/digits.json and fills the tables of docs/research/digits.md; with --gather it trains nothing and takes what
earlier runs have measured. With --quick, one seed and few samples, in some minutes; writes nothing there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from rich.progress import Progress

from benchmarks.machine import machine, versions
from research.command_line import RUNS, errors_as_sentences, parser_of, progress_bars
from research.digits.corpus import read_corpus
from research.digits.rows import ROWS
from research.digits.store import Store
from research.digits.tables import over_seeds, tables_of
from research.digits.trial import Size, Trial, TrialNumbers
from research.pages import DIGITS_PAGE, RESULTS, fill_page, write_result

STORED = RESULTS / "digits.json"
QUICK = Size(train=1_280, test=300, epochs=3)


def measure(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Measure the rows that the options ask for, seed by seed; returns the JSON object."""
    started = time.monotonic()
    corpus = read_corpus(options.data)
    folder = (options.runs or RUNS) / ("digits-quick" if options.quick else "digits")
    store, size = Store(folder), QUICK if options.quick else Size()
    seeds = range(options.first_seed, options.first_seed + (1 if options.quick else options.seeds))
    chosen = {name: row for name, row in ROWS.items() if name in (options.only or ROWS)}
    bar = progress.add_task("rows", total=len(seeds) * len(chosen))
    found: dict[str, dict[int, TrialNumbers]] = {}
    for seed in seeds:
        trial = Trial(corpus, seed, size, folder / "networks")
        for name, row in chosen.items():
            key = trial.key(row)
            numbers = store.get(key)
            if numbers is None and not options.gather:
                progress.update(bar, description=f"seed {seed}: {name}")
                numbers = trial.measured(row)
                store.put(key, name, seed, numbers)
            if numbers is not None:
                found.setdefault(name, {})[seed] = numbers
            progress.advance(bar)
    more = {
        "seeds": {name: list(by_seed) for name, by_seed in found.items()},
        "seconds": round(time.monotonic() - started, 1),
        "machine": machine(),
        "versions": versions("torch"),
    }
    return headline({name: over_seeds(list(by_seed.values())) for name, by_seed in found.items()}) | {"more": more}


def headline(rows: Mapping[str, Any]) -> dict[str, Any]:
    """The object of the last line, of rows with mean and deviation; a number of a row that was not measured is missing."""
    places: dict[str, tuple[str, Sequence[str]]] = {
        "accuracy": ("ours", ("shared", "accuracy")),
        "macro_f1": ("ours", ("shared", "macro_f1")),
        "iou_xai": ("ours", ("maps", "ours", "top")),
        "accuracy_heldout_speaker": ("ours", ("unheard", "accuracy")),
        "flipped_after_loop": ("biased, after the loop", ("flipped", "accuracy")),
    }
    numbers = {}
    for name, (row, place) in places.items():
        if row in rows:
            found = rows[row]
            for step in place:
                found = found[step]
            numbers[name] = found["mean"]
    return {**numbers, "rows": dict(rows)}


def with_other_rows(result: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """A result of some rows with the other rows of a stored one."""
    rows = {**stored["rows"], **result["rows"]}
    seeds = {**stored["more"]["seeds"], **result["more"]["seeds"]}
    return headline(rows) | {"more": {**stored["more"], "seeds": seeds}}


def fill_tables_of(result: Mapping[str, Any]) -> bool:
    """Fill the tables of docs/research/digits.md; returns whether the page changed."""
    return fill_page(DIGITS_PAGE, tables_of(result), of="digits")


def _options() -> argparse.Namespace:
    parser = parser_of("benchmarks.xai_digits", __doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, few samples and epochs, in some minutes")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (default 5); each leaves out another speaker")
    parser.add_argument("--first-seed", type=int, default=0, help="first seed (default 0)")
    parser.add_argument(
        "--only", action="append", choices=list(ROWS), metavar="ROW", help="measure this row (repeatable), and keep the others as they are"
    )
    parser.add_argument("--gather", action="store_true", help="train nothing: take the numbers that earlier runs have measured")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark and print its result."""
    options = _options()
    torch.set_num_threads(1)
    with errors_as_sentences(), progress_bars() as progress:
        result = measure(options, progress)
    if options.only and not options.quick:
        result = with_other_rows(result, json.loads(STORED.read_text(encoding="utf-8")))
    if result["rows"] and not (options.quick or options.first_seed):
        write_result(STORED, result)
        fill_tables_of(result)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
