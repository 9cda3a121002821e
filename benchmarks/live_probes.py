"""What do the probes of the live stream do to honest windows? ``python -m benchmarks.live_probes``.

Windows of the corpora's validation recordings and of the packaged sample are scored with and without each probe, as a worker does it: sound
is marked second by second. With ``--write``, the thresholds and the honest means go to ``triton_models/mmci/probes.json``. The last line of
the output is one JSON object: ``reference`` (that file) and ``moved -> {probe -> {corpora, sample -> {windows, mean, beyond}}}``: the mean
shift of the contribution, and how many scores move by more than the threshold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from stream.config.project import PROJECT_ROOT
from stream.config.settings import Settings
from stream.domain.features import Floats
from stream.domain.live_reveal import ALONE
from stream.model_repository.files import VERSION, write_atomically
from stream.model_repository.repository import build_encoders
from stream.model_repository.served_models import MMCI
from stream.model_repository.version_files import digests_of
from stream.nuisances.probes import live_marks
from stream.reveal.battery import Baseline, shifts
from stream.reveal.corpora import corpus_windows
from stream.reveal.live import PROBES, HonestProbe, LiveReference
from stream.reveal.models import RepositoryModels
from stream.reveal.sample import sample_windows
from stream.training.corpora import Part

REPOSITORY = PROJECT_ROOT / "triton_models"
QUANTILE = 0.99
LEAST = 0.3
"""Score points. A smaller shift is no reason for a warning, however rare it is: the summary mentions nothing smaller either."""

WINDOWS = 400
SEED = 0


def main() -> None:
    """Measure, print a table, and write the file if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_probes", description=__doc__)
    data = os.environ.get("SENTISTREAM_DATA")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None, required=not data, help="folder of the corpora")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="windows of the corpora")
    parser.add_argument("--write", action="store_true", help=f"write triton_models/{MMCI}/{PROBES}")
    options = parser.parse_args()
    reference, moved = measured(options.data, options.windows)
    if options.write:
        write_atomically(REPOSITORY / MMCI / PROBES, msgspec.json.format(msgspec.json.encode(reference)) + b"\n")
    print(json.dumps({"benchmark": "live_probes", "reference": msgspec.to_builtins(reference), "moved": moved}))


class Moved(NamedTuple):
    """(n,) shifts of the contribution and of the score."""

    contributions: Floats
    scores: Floats


def measured(data: Path, windows: int) -> tuple[LiveReference, dict[str, dict[str, dict[str, float]]]]:
    """What each probe does to windows of both kinds; fillers share one threshold, of all of them together."""
    build_encoders(REPOSITORY)
    models = RepositoryModels(REPOSITORY)
    kinds = {"corpora": corpus_windows(data, Part.VALIDATION, windows, SEED), "sample": asyncio.run(sample_windows(Settings()))}
    baselines = {kind: Baseline.of(own, models) for kind, own in kinds.items()}
    found: dict[str, dict[str, Moved]] = {}
    for mark in live_marks():
        measured_in = {kind: own for kind, baseline in baselines.items() if (own := shifts(mark, baseline, models)) is not None}
        found[mark.name] = {kind: Moved(own.contributions, own.scores) for kind, own in measured_in.items()}
        # Of a modality alone, the contribution is the score, less that of nothing, which a mark does not move.
        found[f"{mark.name}{ALONE}"] = {kind: Moved(own.alone, own.alone) for kind, own in measured_in.items()}
    probes = {name: _honest(by_kind, _alike(name, found)) for name, by_kind in found.items()}
    moved: dict[str, dict[str, dict[str, float]]] = {name: {} for name in found}
    for name, by_kind in found.items():
        for kind, shift in by_kind.items():
            sizes, mean = np.abs(shift.scores), float(shift.contributions.mean())
            beyond = int((sizes > probes[name].threshold).sum())
            moved[name][kind] = {"windows": len(sizes), "mean": round(mean, 4), "beyond": beyond}
            of = ", ".join(f"{np.quantile(sizes, q):.3f}" for q in (0.5, 0.9, 0.95, 0.99))
            print(f"{name:22} {kind:8} n {len(sizes):4} mean {mean:+.3f}; |score|, .5 .9 .95 .99: {of}; beyond {beyond}")
    return LiveReference(digests_of(REPOSITORY / MMCI, [VERSION])[VERSION], QUANTILE, probes), moved


def _honest(by_kind: dict[str, Moved], scores: Floats) -> HonestProbe:
    means = [round(float(own.contributions.mean()), 4) for own in by_kind.values()]
    threshold = max(LEAST, round(float(np.quantile(np.abs(scores), QUANTILE)), 3))
    return HonestProbe(min(means), max(means), threshold, sum(len(own.scores) for own in by_kind.values()))


def _alike(name: str, found: dict[str, dict[str, Moved]]) -> Floats:
    """The shifts of the score that the threshold follows from: those of the mark, or of all fillers."""
    fillers = [other for other in found if _is_filler(other) and other.endswith(ALONE) == name.endswith(ALONE)]
    return np.concatenate([own.scores for other in (fillers if _is_filler(name) else [name]) for own in found[other].values()])


def _is_filler(name: str) -> bool:
    return name.startswith("word ")


if __name__ == "__main__":
    main()
