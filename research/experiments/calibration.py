"""Calibration of a model: fitted on the validation part, measured on the test part.

Four numbers are fitted: temperatures that divide the logits of the polarity and of the score's sign (Guo et al., ICML 2017), a
factor that turns the uncertainty of the score into a 90 % interval (split conformal prediction, Lei et al., JASA 2018), and the
confidence in the sign below which a window is set aside for review by a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from research.experiments.corpus import Rows
from stream.domain.features import Floats
from stream.training.metrics import REVIEWED, TEMPERATURES, calibration_error, wrong_shares

COVERAGE = 0.9
"""Probability with which the interval should contain the annotated score."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of a model to n windows: (n,) scores, (n, 3) polarity probabilities, (n,) uncertainty in score points."""

    scores: Floats
    polarity: Floats
    uncertainty: Floats


@dataclass(frozen=True, slots=True)
class Calibration:
    """Numbers that are fitted on validation windows.

    Attributes:
        temperature: Divides the logits of the polarity.
        sign_temperature: Divides the logits of the score's sign.
        factor: Half the width of the 90 % interval, in uncertainties.
        review_below: Confidence in the sign below which a window is set aside for review.
    """

    temperature: float
    sign_temperature: float
    factor: float
    review_below: float


def signs(answers: Answers, temperature: float) -> Floats:
    """(n, 2) probabilities that the score is below and above 0: a logistic distribution around it with its uncertainty.

    The logistic function is written with tanh, which does not overflow for large scores.
    """
    upper = 0.5 + 0.5 * np.tanh(np.pi / np.sqrt(12.0) * answers.scores / answers.uncertainty / temperature)
    chances: Floats = np.stack([1.0 - upper, upper], axis=1)
    return chances


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """(n, 3) softmax(log p / T)."""
    logits = np.log(np.maximum(probabilities, 1e-8)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def calibrated(answers: Answers, scores: Floats, polarities: Rows) -> Calibration:
    """Fit on validation answers and their truth. Without scores the factor of the interval is 0."""
    rows = np.arange(polarities.size)
    temperature = _best_temperature(lambda t: tempered(answers.polarity, t)[rows, polarities])
    signed, upper = _signed(scores, polarities)
    sign_temperature = _best_temperature(lambda t: signs(answers, t)[signed, upper])
    known = ~np.isnan(scores)
    factor = 0.0
    if known.any():
        ratios = np.abs(answers.scores[known] - scores[known]) / answers.uncertainty[known]
        level = min(1.0, np.ceil((ratios.size + 1) * COVERAGE) / ratios.size)
        factor = float(np.quantile(ratios, level, method="higher"))
    confidence = signs(answers, sign_temperature).max(axis=1)
    return Calibration(temperature, sign_temperature, factor, float(np.quantile(confidence, REVIEWED)))


def calibration_numbers(fitted: Calibration, answers: Answers, scores: Floats, polarities: Rows) -> dict[str, float]:
    """Measure the calibration on test answers.

    Returns:
        Expected calibration errors: ``ece`` of the polarity, ``ece_before`` without its temperature, ``ece_sign`` of the score's
        sign. Review: ``reviewed``, the share of windows set aside; ``wrong_reviewed`` and ``wrong_kept``, the shares of wrong signs
        among them and among the rest, without windows annotated 0; ``wrong_polarity_…``, the same for the three classes. With
        scores also ``coverage`` of the 90 % interval and its mean ``half_width``.
    """
    probabilities, chances = tempered(answers.polarity, fitted.temperature), signs(answers, fitted.sign_temperature)
    signed, upper = _signed(scores, polarities)
    aside = chances.max(axis=1) < fitted.review_below
    found = {
        "ece_before": calibration_error(answers.polarity, polarities),
        "ece": calibration_error(probabilities, polarities),
        "ece_sign": calibration_error(chances[signed], upper),
        "reviewed": float(aside.mean()),
        **wrong_shares("wrong", chances[signed].argmax(axis=1) != upper, aside[signed]),
        **wrong_shares("wrong_polarity", probabilities.argmax(axis=1) != polarities, aside),
    }
    known = ~np.isnan(scores)
    if known.any():
        half = fitted.factor * answers.uncertainty[known]
        inside = np.abs(answers.scores[known] - scores[known]) <= half
        found |= {"coverage": float(inside.mean()), "half_width": float(half.mean())}
    return found


def _best_temperature(chances: Callable[[float], Floats]) -> float:
    """The temperature with the least cross-entropy, from a function to the probabilities of the truth."""
    return min(TEMPERATURES, key=lambda t: float(-np.log(np.maximum(chances(t), 1e-8)).mean()))


def _signed(scores: Floats, polarities: Rows) -> tuple[Rows, Rows]:
    """Indices of windows whose truth has a sign, and the sign, 1 above 0. It is that of the polarity where there is no score."""
    side = np.where(np.isnan(scores), polarities - 1.0, np.sign(scores))
    signed = np.flatnonzero(side)
    return signed, (side[signed] > 0).astype(np.int64)
