"""Numbers over seeds: mean, deviation, and intervals when whole videos are drawn again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.domain.features import Floats
from stream.training.metrics import correlation

BOOTSTRAP_DRAWS = 1_000
INTERVALS = ("acc2_has0", "acc2_non0", "mae", "corr")
"""Numbers that come with an interval."""


def spread(numbers: Sequence[dict[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Mean and standard deviation (n - 1; 0 for one) of each number over seeds."""
    table = {name: np.array([own[name] for own in numbers]) for name in numbers[0]}
    deviation = {name: float(values.std(ddof=1)) if values.size > 1 else 0.0 for name, values in table.items()}
    return {name: float(values.mean()) for name, values in table.items()}, deviation


def intervals(predicted: Sequence[Floats], truth: Floats, groups: Sequence[str], seed: int = 0) -> dict[str, tuple[float, float]]:
    """95 % intervals of the seeds' mean when whole videos are drawn again.

    Args:
        predicted: For each seed the (n,) scores.
        truth: (n,) annotation.
        groups: (n,) video of each window.
        seed: Of the draws.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(index == group) for group in range(len(names))]
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {name: [] for name in INTERVALS}
    for _ in range(BOOTSTRAP_DRAWS):
        rows = np.concatenate([members[group] for group in rng.integers(0, len(names), size=len(names))])
        numbers = [_quick_numbers(scores[rows], truth[rows]) for scores in predicted]
        for place, name in enumerate(INTERVALS):
            found[name].append(float(np.mean([own[place] for own in numbers])))
    return {name: (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))) for name, values in found.items()}


def _quick_numbers(scores: Floats, truth: Floats) -> tuple[float, float, float, float]:
    """`INTERVALS` in order."""
    nonzero = truth != 0
    has0 = float(((scores >= 0) == (truth >= 0)).mean())
    non0 = float(((scores[nonzero] > 0) == (truth[nonzero] > 0)).mean())
    return has0, non0, float(np.abs(scores - truth).mean()), correlation(scores, truth)
