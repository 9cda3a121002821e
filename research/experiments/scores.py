"""Metrics over seeds: mean, deviation, and bootstrap intervals over whole videos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.domain.features import Floats
from stream.training.metrics import correlation

BOOTSTRAP_DRAWS = 1_000
INTERVALS = ("acc2_has0", "acc2_non0", "mae", "corr")
"""Metrics with an interval."""


def spread(numbers: Sequence[dict[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Mean and sample standard deviation (0 for one seed) of each metric over seeds."""
    table = {name: np.array([own[name] for own in numbers]) for name in numbers[0]}
    deviation = {name: float(values.std(ddof=1)) if values.size > 1 else 0.0 for name, values in table.items()}
    return {name: float(values.mean()) for name, values in table.items()}, deviation


def intervals(predicted: Sequence[Floats], truth: Floats, groups: Sequence[str], seed: int = 0) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals of the mean over seeds; whole videos are resampled, because their windows are alike.

    Args:
        predicted: (n,) scores of each seed.
        truth: (n,) annotated scores.
        groups: (n,) video of each window.
        seed: Seed of the draws.
    """
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(group_of == group) for group in range(len(names))]
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {name: [] for name in INTERVALS}
    for _ in range(BOOTSTRAP_DRAWS):
        rows = np.concatenate([members[group] for group in rng.integers(0, len(names), size=len(names))])
        numbers = [_quick_numbers(scores[rows], truth[rows]) for scores in predicted]
        for index, name in enumerate(INTERVALS):
            found[name].append(float(np.mean([own[index] for own in numbers])))
    return {name: (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))) for name, values in found.items()}


def _quick_numbers(scores: Floats, truth: Floats) -> tuple[float, float, float, float]:
    """The metrics of `INTERVALS`, in their order."""
    nonzero = truth != 0
    has0 = float(((scores >= 0) == (truth >= 0)).mean())
    non0 = float(((scores[nonzero] > 0) == (truth[nonzero] > 0)).mean())
    return has0, non0, float(np.abs(scores - truth).mean()), correlation(scores, truth)
