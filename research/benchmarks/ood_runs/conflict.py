"""Windows on which two modalities, each alone, disagree about the sign."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from research.benchmarks.ood_runs.bootstrap import Draws, interval
from research.benchmarks.ood_runs.halves import HeldOut, Numbers, right
from stream.domain.features import Floats

CONVENTION = "acc2_non0"


def disagreeing(first: Floats, second: Floats) -> npt.NDArray[np.bool_]:
    """(n,) True where the signs of two unimodal models differ; their (S, n) scores are averaged over seeds."""
    return np.asarray((first.mean(axis=0) > 0) != (second.mean(axis=0) > 0))


def numbers(test: HeldOut, scores: Floats, conflict: npt.NDArray[np.bool_], draws: Draws) -> Numbers:
    """Accuracy of a model's (S, n) scores where two modalities disagree, and where they agree."""
    hits = right(scores, test.truth, CONVENTION)
    counted = test.conventions()[CONVENTION]
    found: Numbers = {}
    for name, among in (("conflict", counted & conflict), ("agreement", counted & ~conflict)):
        seeds = hits[:, among].mean(axis=1)
        found[name] = {
            "n": int(among.sum()),
            "accuracy": round(float(seeds.mean()), 4),
            "sd": round(float(seeds.std(ddof=1)) if seeds.size > 1 else 0.0, 4),
            "interval": interval(draws.means(hits.mean(axis=0), among)),
        }
    return found
