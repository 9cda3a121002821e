"""Planted shortcuts on CMU-MOSI: who still answers right where a mark that agreed with the label in training stops agreeing?

``python -m benchmarks.shortcut [--quick] [--plant FILE.py]``. Progress is on stderr; the last line of stdout is one JSON object:
row -> p -> {id, neutral, flipped, worst_group} for a watermark of amplitude 4 in audio and video (or the plant of FILE.py) on set S with
a genuine audio-video signal, means over the seeds; everything else under ``more``.

FILE.py holds ``plant(features, labels, rng, p) -> features``: features maps "text", "audio" and "video" to (n, d) float32 arrays
standardised on the training rows, labels are 0 or 1. It is called for every part with a generator in the same state: draw directions
first, then what depends on the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.shortcut_runs.rows import FEW_ROWS, ROWS, Measured, Numbers, Trial
from stream.domain.modality import Modality
from stream.training.features import text_weights
from stream.training.shortcuts.data import Parts, Rows, read_honest, with_development
from stream.training.shortcuts.plants import AUDIO_AND_VIDEO, Agreement, Plant, Watermark, load_plant, with_genuine_signal
from stream.training.shortcuts.trial import planted

ROOT = Path(__file__).resolve().parents[1]
AGREEMENTS = (0.5, 0.7, 0.9, 0.99)
FRESH_SEED = 10
"""Seeds below this were used to choose the recipe."""

STANDARD, STANDARD_NAME = Watermark(AUDIO_AND_VIDEO, 4.0), "audio and video"
PLACES: dict[str, Plant] = {
    "text": Watermark((Modality.TEXT,), 4.0),
    "audio": Watermark((Modality.AUDIO,), 4.0),
    "video": Watermark((Modality.VIDEO,), 4.0),
    "agreement of audio and video": Agreement(Modality.AUDIO, Modality.VIDEO, 4.0),
    "agreement of text and audio": Agreement(Modality.TEXT, Modality.AUDIO, 4.0),
    "agreement of text and video": Agreement(Modality.TEXT, Modality.VIDEO, 4.0),
    "audio and video, amplitude 2": Watermark(AUDIO_AND_VIDEO, 2.0),
}
HONEST: dict[str, Plant] = {
    "no genuine signal, audio and video": STANDARD,
    "no genuine signal, audio and video, amplitude 2": Watermark(AUDIO_AND_VIDEO, 2.0),
}
QUICK_PLACES = ("text", "video", "agreement of audio and video")
"""The other conditions of ``--quick``."""

Results = dict[str, dict[str, list[Measured]]]
"""Row to p to what was measured, one of each seed."""

console = Console(stderr=True)


class Bench:
    """Runs conditions on one pair of training and test rows.

    Args:
        rows: Training and test rows.
        seeds: Of plants, development videos and trainings.
        progress: Shows a bar.
    """

    def __init__(self, rows: tuple[Rows, Rows], seeds: Sequence[int], progress: Progress) -> None:
        self._rows = rows
        self._seeds = seeds
        self._progress = progress
        self._unplanted: dict[tuple[bool, int], Measured] = {}

    def condition(self, name: str, plant: Plant, agreements: Sequence[float], rows: Sequence[str], *, genuine: bool) -> Results:
        """Measure `rows` under one plant."""
        bar = self._progress.add_task(name, total=len(self._seeds) * len(agreements) * len(rows))
        results: Results = {row: {str(p): [] for p in agreements} for row in rows}
        for seed in self._seeds:
            parts = self._parts(seed, genuine=genuine)
            for p in agreements:
                trial = Trial(seed, planted(parts, plant, p, seed), planted(parts, None, p, seed))
                for row in rows:
                    results[row][str(p)].append(self._measured(row, trial, (genuine, seed)))
                    self._progress.advance(bar)
        _show(name, means(results))
        return results

    def _measured(self, row: str, trial: Trial, key: tuple[bool, int]) -> Measured:
        if row != "unplanted":
            return ROWS[row](trial)
        if key not in self._unplanted:
            self._unplanted[key] = ROWS[row](trial)
        return self._unplanted[key]

    def _parts(self, seed: int, *, genuine: bool) -> Parts:
        parts = with_development(*self._rows, seed)
        if not genuine:
            return parts
        return Parts(*(with_genuine_signal(rows, (seed, 7, i)) for i, rows in enumerate((parts.train, parts.development, parts.test))))


def means(results: Results) -> dict[str, dict[str, Numbers]]:
    """Mean of every number over the seeds."""
    return {
        row: {p: _over([m.accuracies for m in all_of], statistics.fmean) for p, all_of in by_p.items()} for row, by_p in results.items()
    }


def deviations(results: Results) -> dict[str, dict[str, Numbers]]:
    """Standard deviation of every number over the seeds."""
    return {
        row: {p: _over([m.accuracies for m in all_of], statistics.pstdev) for p, all_of in by_p.items()} for row, by_p in results.items()
    }


def probes(results: Results) -> dict[str, dict[str, Numbers]]:
    """Mean accuracy with which the plant is read from the read-outs."""
    return {
        row: {p: _over([m.probes for m in all_of], statistics.fmean) for p, all_of in by_p.items()}
        for row, by_p in results.items()
        if all(m.probes for all_of in by_p.values() for m in all_of)
    }


def _over(numbers: Sequence[Numbers], statistic: Callable[[list[float]], float]) -> Numbers:
    return {name: round(float(statistic([each[name] for each in numbers])), 4) for name in numbers[0]}


def _conditions(options: argparse.Namespace) -> Iterator[tuple[str, Plant, bool, Sequence[float]]]:
    """Name, plant, whether the genuine signal is on, and agreements of everything beside the standard table."""
    if options.plant:
        return
    agreements = (0.9, 0.99) if options.quick else (0.5, 0.9, 0.99)
    for name, plant in PLACES.items():
        if not options.quick or name in QUICK_PLACES:
            yield name, plant, True, agreements
    if not options.quick:
        for name, plant in HONEST.items():
            yield name, plant, False, AGREEMENTS


def _show(name: str, table: dict[str, dict[str, Numbers]]) -> None:
    agreements = list(next(iter(table.values())))
    shown = Table("row", *(f"p = {p}" for p in agreements), title=f"{name}: id / neutral / flipped / worst group")
    for row, by_p in table.items():
        shown.add_row(row, *(" / ".join(f"{value:.3f}" for value in by_p[p].values()) for p in agreements))
    console.print(shown)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SENTISTREAM_DATA", ROOT.parent / "shared" / "data")))
    parser.add_argument(
        "--cache", type=Path, default=Path(os.environ.get("SENTISTREAM_CACHE", tempfile.gettempdir())) / "sentistream-benchmarks"
    )
    parser.add_argument("--plant", type=Path, help="file with a function plant(features, labels, rng, p)")
    parser.add_argument("--seeds", type=int, help="how many (default 5; 2 with --quick)")
    parser.add_argument("--first-seed", type=int, default=FRESH_SEED)
    parser.add_argument("--quick", action="store_true", help="fewer seeds, rows and conditions: a few minutes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    plant = load_plant(options.plant) if options.plant else STANDARD
    seeds = range(options.first_seed, options.first_seed + (options.seeds or (2 if options.quick else 5)))
    rows = (*FEW_ROWS, "mmci_cal") if options.quick else tuple(ROWS)
    console.print("reading the corpus (text is encoded once and kept in the cache)")
    corpus = read_honest(options.data, text_weights(ROOT / "triton_models"), options.cache)
    with Progress(console=console) as progress:
        bench = Bench(corpus, seeds, progress)
        name = options.plant.name if options.plant else STANDARD_NAME
        standard = bench.condition(name, plant, AGREEMENTS, rows, genuine=True)
        others = {}
        for other_name, other, genuine, agreements in _conditions(options):
            others[other_name] = bench.condition(other_name, other, agreements, FEW_ROWS, genuine=genuine)
    more = {
        "sd": deviations(standard),
        "probes": probes(standard),
        "conditions": {name: {"mean": means(results), "sd": deviations(results)} for name, results in others.items()},
        "seeds": list(seeds),
        "plant": name,
        "seconds": round(time.monotonic() - started, 1),
    }
    sys.stdout.write(json.dumps({**means(standard), "more": more}) + "\n")


if __name__ == "__main__":
    main()
