"""The numbers of the tables. Accuracies and F1 are fractions.

Two conventions for the binary accuracy: ``has0`` counts scores from 0 upwards as positive; ``non0`` leaves out windows whose
annotation is 0. Seven classes are scores rounded to -3 ... 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.domain.features import Floats
from stream.training.experiments.corpus import Rows
from stream.training.metrics import accuracy, f1_scores, majority

BOOTSTRAP_DRAWS = 1_000
INTERVALS = ("acc2_has0", "acc2_non0", "mae", "corr")
"""Numbers that come with an interval."""


def score_numbers(scores: Floats, truth: Floats) -> dict[str, float]:
    """Numbers of (n,) predicted scores against the annotation."""
    nonzero = truth != 0
    has0 = (scores >= 0).astype(np.int64), (truth >= 0).astype(np.int64)
    non0 = (scores[nonzero] > 0).astype(np.int64), (truth[nonzero] > 0).astype(np.int64)
    return {
        "acc2_has0": accuracy(*has0),
        "acc2_non0": accuracy(*non0),
        "f1": f1_scores(*has0)[1],
        "f1_non0": f1_scores(*non0)[1],
        "acc7": accuracy(seven(scores), seven(truth)),
        "mae": float(np.abs(scores - truth).mean()),
        "corr": correlation(scores, truth),
    }


def polarity_numbers(predicted: Rows, truth: Rows) -> dict[str, float]:
    """Accuracy and F1 of three classes."""
    macro, weighted = f1_scores(predicted, truth)
    return {"accuracy": accuracy(predicted, truth), "macro_f1": macro, "weighted_f1": weighted, "majority": majority(truth)}


def seven(scores: Floats) -> Rows:
    """Scores to the nearest whole number from -3 to 3."""
    return np.clip(np.rint(scores), -3, 3).astype(np.int64)


def correlation(scores: Floats, truth: Floats) -> float:
    """Pearson's; 0 where one side is constant."""
    if scores.std() < 1e-9 or truth.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(scores, truth)[0, 1])


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
