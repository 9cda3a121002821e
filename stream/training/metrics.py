"""Metrics of classifications and scores: plain functions of predictions and truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats

Classes = npt.NDArray[np.int64]

CALIBRATION_BINS = 10

TEMPERATURES = tuple(float(t) for t in np.geomspace(0.4, 4.0, 47))
"""Candidates for the divisor of the logits; the one with the least cross-entropy on validation windows is chosen."""

REVIEWED = 0.2
"""Share of the validation windows, those with the least confidence, that is set aside for review by a person."""


def accuracy(predicted: Classes, truth: Classes) -> float:
    """Share of the predictions that are right."""
    return float((predicted == truth).mean())


def majority(truth: Classes) -> float:
    """Accuracy of always predicting the most frequent class."""
    return float(np.bincount(truth).max() / truth.shape[0])


def f1_scores(predicted: Classes, truth: Classes) -> tuple[float, float]:
    """F1 of the classes that occur in the truth: their plain mean (macro) and their mean weighted by counts."""
    scores, counts = [], []
    for label in np.unique(truth):
        hits = float(((predicted == label) & (truth == label)).sum())
        named, real = float((predicted == label).sum()), float((truth == label).sum())
        scores.append(2.0 * hits / (named + real))
        counts.append(real)
    return float(np.mean(scores)), float(np.average(scores, weights=counts))


def macro_recall(predicted: Classes, truth: Classes) -> float:
    """Mean recall of the classes that occur in the truth."""
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def auc(above: npt.NDArray[np.floating], below: npt.NDArray[np.floating]) -> float | None:
    """Chance that a value of `above` is larger than one of `below`, equal values counting half; None if either is empty.

    This is the area under the ROC curve (Mann and Whitney 1947).
    """
    if not above.size or not below.size:
        return None
    ordered = np.sort(below)
    smaller = np.searchsorted(ordered, above, "left") + np.searchsorted(ordered, above, "right")
    return float(smaller.mean() / (2 * below.size))


def reliability(probabilities: Floats, truth: Classes) -> list[tuple[float, float, int]]:
    """The calibration curve: mean probability of the winning class, accuracy and count of each of `CALIBRATION_BINS` equal bins.

    Empty bins are left out.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [(float(confidence[bins == b].mean()), float(right[bins == b].mean()), int((bins == b).sum())) for b in np.unique(bins)]


def calibration_error(probabilities: Floats, truth: Classes) -> float:
    """Expected calibration error of the winning class: the weighted mean gap of `reliability`'s bins (Guo et al., ICML 2017)."""
    bins = reliability(probabilities, truth)
    return float(sum(abs(confidence - right) * count for confidence, right, count in bins) / truth.shape[0])


def review(probabilities: Floats, truth: Classes, below: float) -> dict[str, float]:
    """Set aside the windows whose winning class has a probability below `below`.

    Returns:
        ``reviewed``, the share of the windows that are set aside, and the numbers of `wrong_shares`.
    """
    aside, wrong = probabilities.max(axis=1) < below, probabilities.argmax(axis=1) != truth
    return {"reviewed": float(aside.mean()), **wrong_shares("wrong", wrong, aside)}


def wrong_shares(name: str, wrong: npt.NDArray[np.bool_], aside: npt.NDArray[np.bool_]) -> dict[str, float]:
    """``NAME_reviewed`` and ``NAME_kept``: share of wrong labels among the windows set aside and among the rest, 0 without any."""
    parts = {"reviewed": wrong[aside], "kept": wrong[~aside]}
    return {f"{name}_{part}": float(own.mean()) if own.size else 0.0 for part, own in parts.items()}


def classification(probabilities: Floats, truth: Classes) -> dict[str, float]:
    """Accuracy, F1, majority baseline and calibration error of (n, C) probabilities."""
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
    """Error, correlation and binary accuracies of `score_numbers` under the names of the model card's numbers."""
    names = {"mae": "mae", "correlation": "corr", "accuracy_has0": "acc2_has0", "accuracy_non0": "acc2_non0"}
    numbers = score_numbers(scores, truth)
    return {name: numbers[source] for name, source in names.items()}


def score_numbers(scores: Floats, truth: Floats) -> dict[str, float]:
    """Metrics of (n,) predicted scores against the annotation, under the names that tables of CMU-MOSI use.

    There are two conventions for the binary accuracy: ``has0`` counts scores from 0 upwards as positive, ``non0`` leaves out
    windows whose annotation is 0. Seven classes are scores rounded to -3 ... 3.
    """
    nonzero = truth != 0
    has0 = (scores >= 0).astype(np.int64), (truth >= 0).astype(np.int64)
    non0 = (scores[nonzero] > 0).astype(np.int64), (truth[nonzero] > 0).astype(np.int64)
    predicted, annotated = (np.clip(np.rint(own), -3, 3).astype(np.int64) for own in (scores, truth))
    return {
        "acc2_has0": accuracy(*has0),
        "acc2_non0": accuracy(*non0),
        "f1": f1_scores(*has0)[1],
        "f1_non0": f1_scores(*non0)[1],
        "acc7": accuracy(predicted, annotated),
        "mae": float(np.abs(scores - truth).mean()),
        "corr": correlation(scores, truth),
    }


def polarity_numbers(predicted: Classes, truth: Classes) -> dict[str, float]:
    """Accuracy, F1 and majority baseline of predicted classes."""
    macro, weighted = f1_scores(predicted, truth)
    return {"accuracy": accuracy(predicted, truth), "macro_f1": macro, "weighted_f1": weighted, "majority": majority(truth)}


def correlation(scores: Floats, truth: Floats) -> float:
    """Pearson correlation; 0 where one side is constant."""
    if scores.std() < 1e-9 or truth.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(scores, truth)[0, 1])


def bootstrap_by_group(right: npt.NDArray[np.bool_], groups: Sequence[str], seed: int, draws: int = 1_000) -> tuple[float, float]:
    """95 % bootstrap interval of an accuracy; whole groups (videos, dialogues, actors) are resampled, as their items are alike."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    hits = np.bincount(index, weights=right.astype(np.float64), minlength=len(names))
    sizes = np.bincount(index, minlength=len(names)).astype(np.float64)
    chosen = np.random.default_rng(seed).integers(0, len(names), size=(draws, len(names)))
    means = hits[chosen].sum(axis=1) / sizes[chosen].sum(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))
