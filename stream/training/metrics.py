"""Numbers of the model card: plain functions of predictions and truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats

Classes = npt.NDArray[np.int64]

CALIBRATION_BINS = 10

TEMPERATURES = tuple(float(t) for t in np.geomspace(0.4, 4.0, 47))
"""Among which the divisor of logits is looked for that makes probabilities fit validation windows best."""

REVIEWED = 0.2
"""Share of the validation windows, those with the least confidence, that is set aside for a person to review."""


def accuracy(predicted: Classes, truth: Classes) -> float:
    """Share of equal classes."""
    return float((predicted == truth).mean())


def majority(truth: Classes) -> float:
    """Accuracy of always naming the commonest class."""
    return float(np.bincount(truth).max() / truth.shape[0])


def f1_scores(predicted: Classes, truth: Classes) -> tuple[float, float]:
    """F1 of the classes that occur in the truth: plain mean (macro) and mean weighted by their counts."""
    scores, counts = [], []
    for label in np.unique(truth):
        hits = float(((predicted == label) & (truth == label)).sum())
        named, real = float((predicted == label).sum()), float((truth == label).sum())
        scores.append(2.0 * hits / (named + real))
        counts.append(real)
    return float(np.mean(scores)), float(np.average(scores, weights=counts))


def macro_recall(predicted: Classes, truth: Classes) -> float:
    """Mean over the classes that occur in the truth of the share of their items that is found."""
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def reliability(probabilities: Floats, truth: Classes) -> list[tuple[float, float, int]]:
    """For each of `CALIBRATION_BINS` equal bins of the winning class's probability that is not empty: its mean, the accuracy, the count."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [(float(confidence[bins == b].mean()), float(right[bins == b].mean()), int((bins == b).sum())) for b in np.unique(bins)]


def calibration_error(probabilities: Floats, truth: Classes) -> float:
    """Expected calibration error of the winning class: the mean gap of `reliability`'s bins (Guo et al., ICML 2017)."""
    bins = reliability(probabilities, truth)
    return float(sum(abs(confidence - right) * count for confidence, right, count in bins) / truth.shape[0])


def review(probabilities: Floats, truth: Classes, below: float) -> dict[str, float]:
    """What setting aside the windows whose winning class has a probability below ``below`` does.

    Returns:
        Shares: ``reviewed`` of all windows; ``wrong_reviewed`` and ``wrong_kept`` of those set aside and of the rest, 0 of none.
    """
    aside, wrong = probabilities.max(axis=1) < below, probabilities.argmax(axis=1) != truth
    return {"reviewed": float(aside.mean()), **wrong_shares("wrong", wrong, aside)}


def wrong_shares(name: str, wrong: npt.NDArray[np.bool_], aside: npt.NDArray[np.bool_]) -> dict[str, float]:
    """``NAME_reviewed`` and ``NAME_kept``: how many of the windows set aside and of the rest are wrong, 0 of none."""
    parts = {"reviewed": wrong[aside], "kept": wrong[~aside]}
    return {f"{name}_{part}": float(own.mean()) if own.size else 0.0 for part, own in parts.items()}


def classification(probabilities: Floats, truth: Classes) -> dict[str, float]:
    """Accuracy, F1, majority baseline and calibration of (n, C) probabilities."""
    predicted = probabilities.argmax(axis=1)
    macro, weighted = f1_scores(predicted, truth)
    return {
        "n": float(truth.shape[0]),
        "accuracy": accuracy(predicted, truth),
        "macro_f1": macro,
        "weighted_f1": weighted,
        "majority_accuracy": majority(truth),
        "calibration_error": calibration_error(probabilities, truth),
    }


def regression(scores: Floats, truth: Floats) -> dict[str, float]:
    """MOSI's usual numbers: MAE, Pearson correlation, binary accuracy with zeros as positive (has0) and without zeros (non0)."""
    nonzero = truth != 0
    return {
        "mae": float(np.abs(scores - truth).mean()),
        "correlation": float(np.corrcoef(scores, truth)[0, 1]),
        "accuracy_has0": float(((scores >= 0) == (truth >= 0)).mean()),
        "accuracy_non0": float(((scores[nonzero] > 0) == (truth[nonzero] > 0)).mean()),
    }


def bootstrap_by_group(right: npt.NDArray[np.bool_], groups: Sequence[str], seed: int, draws: int = 1_000) -> tuple[float, float]:
    """95 % interval of an accuracy when whole groups (videos, dialogues, actors) are drawn again."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    hits = np.bincount(index, weights=right.astype(np.float64), minlength=len(names))
    sizes = np.bincount(index, minlength=len(names)).astype(np.float64)
    chosen = np.random.default_rng(seed).integers(0, len(names), size=(draws, len(names)))
    means = hits[chosen].sum(axis=1) / sizes[chosen].sum(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))
