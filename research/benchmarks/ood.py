"""Out of distribution: the models of research.benchmarks.mosi on test windows that differ from training windows.

python -m research.benchmarks.ood [--ids FILE.json ...] [--quick]     progress on stderr, one JSON object as the last line

    halves       test halves in which words do not predict the label (mosi/ood_wordlabel_seed*.json), against the rest and random halves
    meld         models trained on CMU-MOSI answer lines of MELD
    social       MELD's dialogues with real, exchanged and absent lines of other speakers
    adversarial  projected gradient descent on the features
    smoothing    certified radius of the smoothed sign
    dropped      a modality that is missing at test
    noised       noise on a modality at test
    conflict     windows on which text and another modality disagree

FILE.json contains your own half of the test set: {"bclstm": {"ood_test_ids": [...]}, "std": {...}}, {"ood_test_ids": [...]} or a list
of ids. It is reported under ``given``. Rows that are not finished in --runs are trained, or left out with --finished. A run without
--quick and --ids writes research/benchmarks/results/ood.json and the tables of docs/research/model.md; parts and rows that are not
measured stay as stored.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from benchmarks.machine import machine, versions
from research.benchmarks.ood_runs import another_corpus, disagreement, gaps, halves, noise, social
from research.benchmarks.ood_runs.halves import Numbers
from research.benchmarks.ood_runs.pages import TABLES as PAGE_TABLES
from research.benchmarks.ood_runs.rows import ERM, QUICK_SEEDS, TABLES, Bench, family, role
from research.command_line import console, errors_as_sentences, folders_of, parser_of, progress_bars
from research.experiments.config import ExperimentConfig
from research.pages import MODEL_PAGE, RESULTS, fill_page, read_result, write_result

STORED = RESULTS / "ood.json"
PARTS = ("halves", "meld", "social", "adversarial", "smoothing", "dropped", "noised", "conflict")
QUICK_ROWS = {
    "bclstm-text-only",
    "bclstm-fusion",
    "bclstm-minilm-text-only",
    "bclstm-minilm-late-fusion",
    "std-minilm-text-only",
    "std-minilm-late-fusion",
}


class Run:
    """One run of the benchmark.

    Args:
        bench: Rows and seeds.
        files: Halves that are given by the user.
        quick: Measure a few rows of each part.
    """

    def __init__(self, bench: Bench, files: list[Path], *, quick: bool) -> None:
        self._bench, self._files, self._quick = bench, files, quick

    def measure(self, parts: tuple[str, ...]) -> dict[str, dict[str, Numbers]]:
        """Measure the chosen parts; returns numbers by part and row."""
        makers: Mapping[tuple[str, ...], Callable[[], tuple[dict[str, Numbers], ...]]] = {
            ("halves",): lambda: (self._halves(self._stored_halves()),),
            ("meld",): lambda: (another_corpus.measure(self._bench, quick=self._quick),),
            ("social",): lambda: (social.measure(self._bench, quick=self._quick),),
            ("adversarial", "smoothing"): lambda: noise.measure(self._bench, quick=self._quick),
            ("dropped", "noised"): lambda: gaps.measure(self._bench, quick=self._quick),
            ("conflict",): lambda: (disagreement.measure(self._bench, self._finished, quick=self._quick),),
        }
        found: dict[str, dict[str, Numbers]] = {}
        for names, make in makers.items():
            if set(names) & set(parts):
                started = time.monotonic()
                found |= dict(zip(names, make(), strict=True))
                console.print(f"{' and '.join(names)}: {time.monotonic() - started:.0f} s")
        if self._files:
            found["given"] = self._halves(self._files)
        return found

    @cached_property
    def _finished(self) -> list[ExperimentConfig]:
        rows = [config for name, config in self._bench.rows.items() if not self._quick or name in QUICK_ROWS]
        return [config for config in rows if self._bench.has(config)]

    def _stored_halves(self) -> list[Path]:
        return sorted((self._bench.folders.data / "mosi").glob("ood_wordlabel_seed*.json"))

    def _halves(self, files: list[Path]) -> dict[str, Numbers]:
        found: dict[str, Numbers] = {}
        for table in TABLES:
            masks = {file.stem: halves.read_half(file, table, self._bench.tests) for file in files}
            known = {name: mask for name, mask in masks.items() if mask is not None}
            rows = {config.name: config for config in self._finished if config.data.split == table}
            if known and rows:
                scores = {name: self._bench.scores(config) for name, config in rows.items()}
                references = {name: ERM[family(config)] for name, config in rows.items()}
                measured = halves.measure(self._bench.tests[table], known, scores, references)
                found |= {name: {"role": role(rows[name]), "note": rows[name].note, **own} for name, own in measured.items()}
        return found


def with_stored(found: dict[str, dict[str, Numbers]], stored: Mapping[str, Any], *, mark: bool) -> dict[str, dict[str, Numbers]]:
    """Add the stored parts and rows that were not measured, optionally marked as stored."""
    marked: Numbers = {"stored": True} if mark else {}
    merged = {part: {name: row | marked for name, row in stored.get(part, {}).items()} | found.get(part, {}) for part in PARTS}
    return merged | {name: rows for name, rows in found.items() if name not in PARTS}


def fill_tables_of(result: Mapping[str, Any]) -> bool:
    """Fill this benchmark's tables of docs/research/model.md; returns whether the page changed."""
    return fill_page(MODEL_PAGE, {name: partial(table, result) for name, table in PAGE_TABLES.items()}, of="ood")


def main() -> None:
    """Run the benchmark and print its result."""
    parser = parser_of("research.benchmarks.ood", __doc__)
    parser.add_argument("--ids", type=Path, action="append", default=[], metavar="FILE.json", help="test ids of a half; may be repeated")
    parser.add_argument("--quick", action="store_true", help="measure a few rows with two seeds; take the others as stored")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure only this part; may be repeated; take the others as stored")
    parser.add_argument("--seeds", type=int, default=0, help="most seeds of each row; default: as in its configuration")
    parser.add_argument("--finished", action="store_true", help="train nothing: measure the finished rows; take the others as stored")
    options = parser.parse_args()
    with errors_as_sentences(), progress_bars() as progress:
        seeds = options.seeds or (QUICK_SEEDS if options.quick else 0)
        run = Run(Bench(folders_of(options), progress, seeds, train=not options.finished), options.ids, quick=options.quick)
        found = run.measure(tuple(options.only or PARTS))
    result = with_stored(found, read_result(STORED), mark=options.quick) | {"machine": machine(), "versions": versions("torch", "numpy")}
    if not options.quick and not options.ids:
        write_result(STORED, result)
        fill_tables_of(result)
    print(json.dumps({"benchmark": "ood", "quick": options.quick, **result}))


if __name__ == "__main__":
    main()
