"""Planted shortcuts on CMU-MOSI: accuracy when a mark that agreed with the label in training stops agreeing.

python -m research.benchmarks.shortcut [--quick] [--plant FILE.py] [--only MARK]    progress on stderr, one JSON object as the last line

The object has row -> p -> {id, neutral, flipped, worst_group}, means over the seeds, for a watermark of amplitude 4 in audio and
video (or the plant of FILE.py) on set S with a genuine audio-video signal. All other numbers are under ``more``. Results are kept in
--runs, so an interrupted run resumes. A full run writes research/benchmarks/results/shortcut.json and the tables of
docs/research/model.md; with --only, marks that are not measured stay as stored, and --seeds may be given.

FILE.py defines ``plant(features, labels, rng, p) -> features``. Features map "text", "audio" and "video" to (n, d) float32 arrays,
standardised on the training rows; labels are 0 or 1. It is called for each part with a generator in the same state: draw directions
first, then values that depend on the rows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from rich.table import Table

from research.benchmarks.shortcut_runs.rows import ABLATED_AT, ABLATIONS, FEW_ROWS, QUICK_ROWS, ROWS, SPREAD_ROWS, Row, input_of
from research.benchmarks.shortcut_runs.store import Store, key_of
from research.benchmarks.shortcut_runs.tables import tables_of
from research.command_line import RUNS, console, errors_as_sentences, parser_of, progress_bars
from research.pages import MODEL_PAGE, RESULTS, fill_page, read_result, write_result
from research.shortcuts.data import Parts, read_honest, with_development
from research.shortcuts.defence import Measured, Numbers, run_defence
from research.shortcuts.plants import AUDIO_AND_VIDEO, Agreement, Noise, Plant, Scaled, Watermark, load_plant, with_genuine_signal
from research.shortcuts.rows import Rows
from research.shortcuts.trial import Planted, planted
from stream.domain.modality import Modality
from stream.model_repository.text_weights import packaged_weights
from stream.training.eraser.artefacts import Eraser, fit_eraser

STORED = RESULTS / "shortcut.json"
AGREEMENTS = (0.5, 0.7, 0.9, 0.99)
FRESH_SEED = 10
"""First fresh seed: smaller ones were used to choose the recipe."""

STANDARD, STANDARD_NAME = Watermark(AUDIO_AND_VIDEO, 4.0), "audio and video"
CONDITIONS: dict[str, Plant] = {
    "text": Watermark((Modality.TEXT,), 4.0),
    "audio": Watermark((Modality.AUDIO,), 4.0),
    "video": Watermark((Modality.VIDEO,), 4.0),
    "agreement of audio and video": Agreement(Modality.AUDIO, Modality.VIDEO, 4.0),
    "agreement of text and audio": Agreement(Modality.TEXT, Modality.AUDIO, 4.0),
    "agreement of text and video": Agreement(Modality.TEXT, Modality.VIDEO, 4.0),
    "audio and video, amplitude 2": Watermark(AUDIO_AND_VIDEO, 2.0),
}
WITHOUT_GENUINE_SIGNAL: dict[str, Plant] = {
    "no genuine signal, audio and video": STANDARD,
    "no genuine signal, audio and video, amplitude 2": Watermark(AUDIO_AND_VIDEO, 2.0),
}
SPREADS: dict[str, Plant] = {
    "audio scaled, factor 1.5": Scaled(Modality.AUDIO, 1.5),
    "noise in audio, amplitude 1": Noise(Modality.AUDIO, 1.0),
    "noise in video, amplitude 1": Noise(Modality.VIDEO, 1.0),
}
"""Marks in the spread of a block."""

QUICK_CONDITIONS = ("text", "video", "agreement of audio and video")
"""Conditions of ``--quick`` beside the standard one."""

Results = dict[str, dict[str, list[Measured]]]
"""By row and p, the measurements of each seed."""


class Trial:
    """One plant at one p and seed, and the same rows without a plant. The eraser is fitted when a row first needs it."""

    def __init__(self, parts: Parts, plant: Plant, p: float, seed: int) -> None:
        self.seed = seed
        self._planted, self._unplanted = planted(parts, plant, p, seed), planted(parts, None, p, seed)
        self._eraser: Eraser | None = None

    def measured(self, row: Row, store: Store) -> Measured:
        """Measure a row, or read it from the store."""
        trial = input_of(row, self._planted if row.planted else self._unplanted)
        key = key_of(row, trial, self.seed)
        found = store.get(key)
        if found is None:
            found = run_defence(row.defence, trial, self._eraser_of(trial) if row.defence.erase else None, self.seed)
            store.put(key, found)
        return found

    def _eraser_of(self, trial: Planted) -> Eraser:
        if self._eraser is None:
            self._eraser = fit_eraser(trial.train.blocks, trial.train.labels)
        return self._eraser


class Bench:
    """Runs conditions on one pair of training and test rows.

    Args:
        rows: Training and test rows.
        seeds: Seeds of plants, development videos and trainings.
        store: Results of earlier runs.
        progress: Shows progress bars.
    """

    def __init__(self, rows: tuple[Rows, Rows], seeds: Sequence[int], store: Store, progress: Progress) -> None:
        self._rows, self._seeds, self._store, self._progress = rows, seeds, store, progress

    def condition(self, name: str, plant: Plant, wanted: Mapping[float, Mapping[str, Row]], *, genuine: bool) -> Results:
        """Measure the wanted rows of each p under one plant."""
        bar = self._progress.add_task(name, total=len(self._seeds) * sum(map(len, wanted.values())))
        results: Results = {}
        for seed in self._seeds:
            parts = self._parts(seed, genuine=genuine)
            for p, rows in wanted.items():
                trial = Trial(parts, plant, p, seed)
                for row_name, row in rows.items():
                    results.setdefault(row_name, {}).setdefault(str(p), []).append(trial.measured(row, self._store))
                    self._progress.advance(bar)
        _show(name, means(results))
        return results

    def _parts(self, seed: int, *, genuine: bool) -> Parts:
        parts = with_development(*self._rows, seed)
        if not genuine:
            return parts
        return Parts(*(with_genuine_signal(rows, (seed, 7, i)) for i, rows in enumerate((parts.train, parts.development, parts.test))))


def means(results: Results) -> dict[str, dict[str, Numbers]]:
    """Mean of every number over the seeds."""
    return {row: {p: _over([m.accuracies for m in seeds], statistics.fmean) for p, seeds in by_p.items()} for row, by_p in results.items()}


def deviations(results: Results) -> dict[str, dict[str, Numbers]]:
    """Standard deviation of every number over the seeds."""
    return {row: {p: _over([m.accuracies for m in seeds], statistics.pstdev) for p, seeds in by_p.items()} for row, by_p in results.items()}


def probes(results: Results) -> dict[str, dict[str, Numbers]]:
    """Mean accuracy of the probes that read the plant from the read-outs."""
    return {
        row: {p: _over([m.probes for m in seeds], statistics.fmean) for p, seeds in by_p.items()}
        for row, by_p in results.items()
        if all(m.probes for seeds in by_p.values() for m in seeds)
    }


def _over(numbers: Sequence[Numbers], statistic: Callable[[list[float]], float]) -> Numbers:
    return {name: round(float(statistic([each[name] for each in numbers])), 4) for name in numbers[0]}


def _conditions(options: argparse.Namespace) -> Iterator[tuple[str, Plant, bool, Sequence[float], Sequence[str]]]:
    """Name, plant, presence of the genuine signal, agreements and rows of each condition beside the standard one."""
    if options.plant:
        return
    agreements = (0.9, 0.99) if options.quick else (0.5, 0.9, 0.99)
    for name, plant in CONDITIONS.items():
        if not options.quick or name in QUICK_CONDITIONS:
            yield name, plant, True, agreements, FEW_ROWS
    if not options.quick:
        for name, plant in WITHOUT_GENUINE_SIGNAL.items():
            yield name, plant, False, AGREEMENTS, FEW_ROWS
        for name, plant in SPREADS.items():
            yield name, plant, True, agreements[1:], SPREAD_ROWS


def _show(name: str, table: dict[str, dict[str, Numbers]]) -> None:
    agreements = list(next(iter(table.values())))
    shown = Table("row", *(f"p = {p}" for p in agreements), title=f"{name}: id / neutral / flipped / worst group")
    for row, by_p in table.items():
        shown.add_row(row, *(" / ".join(f"{value:.3f}" for value in by_p[p].values()) if p in by_p else "" for p in agreements))
    console.print(shown)


def _options() -> argparse.Namespace:
    parser = parser_of("research.benchmarks.shortcut", __doc__)
    parser.add_argument("--plant", type=Path, help="file with a function plant(features, labels, rng, p)")
    marks = [*CONDITIONS, *WITHOUT_GENUINE_SIGNAL, *SPREADS]
    parser.add_argument("--only", choices=marks, action="append", metavar="MARK", help="measure only this mark; may be repeated")
    parser.add_argument("--seeds", type=int, help="number of seeds (default 5; 2 with --quick)")
    parser.add_argument("--first-seed", type=int, default=FRESH_SEED, help=f"first seed (default {FRESH_SEED})")
    parser.add_argument("--quick", action="store_true", help="measure fewer seeds, rows and conditions, in a few minutes")
    return parser.parse_args()


def measure(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Measure the conditions that the options ask for; returns the JSON object."""
    started, runs = time.monotonic(), options.runs or RUNS
    plant = load_plant(options.plant) if options.plant else STANDARD
    name = options.plant.name if options.plant else STANDARD_NAME
    seeds = range(options.first_seed, options.first_seed + (options.seeds or (2 if options.quick else 5)))
    corpus = read_honest(options.data, packaged_weights(), runs / "features")
    bench = Bench(corpus, seeds, Store(runs / "shortcut"), progress)
    others = {
        other: bench.condition(other, its_plant, {p: {row: ROWS[row] for row in names} for p in agreements}, genuine=genuine)
        for other, its_plant, genuine, agreements, names in _conditions(options)
        if not options.only or other in options.only
    }
    conditions = {other: {"mean": means(results), "sd": deviations(results), "seeds": len(seeds)} for other, results in others.items()}
    if options.only:
        stored = read_result(STORED)
        return stored | {"more": stored["more"] | {"conditions": stored["more"]["conditions"] | conditions}}
    rows = {row: ROWS[row] for row in (QUICK_ROWS if options.quick else ROWS)}
    ablations = {} if options.quick or options.plant else ABLATIONS
    wanted = {p: rows | (ablations if p in ABLATED_AT else {}) for p in AGREEMENTS}
    found = bench.condition(name, plant, wanted, genuine=True)
    standard = {row: found[row] for row in rows}
    ablated = {row: found[row] for row in ablations}
    more = {
        "sd": deviations(standard),
        "probes": probes(standard),
        "ablations": {"mean": means(ablated), "sd": deviations(ablated)},
        "conditions": conditions,
        "seeds": list(seeds),
        "plant": name,
        "seconds": round(time.monotonic() - started, 1),
    }
    return {**means(standard), "more": more}


def fill_tables_of(result: dict[str, Any]) -> bool:
    """Fill this benchmark's tables of docs/research/model.md; returns whether the page changed."""
    return fill_page(MODEL_PAGE, tables_of(result), of="shortcut")


def main() -> None:
    """Run the benchmark and print its result."""
    options = _options()
    torch.set_num_threads(1)
    console.print("Reading the corpus. Its text is encoded once and cached in --runs.")
    with errors_as_sentences(), progress_bars() as progress:
        result = measure(options, progress)
    whole = not (options.quick or options.plant or (options.seeds and not options.only) or options.first_seed != FRESH_SEED)
    if whole:
        write_result(STORED, result)
        fill_tables_of(result)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
