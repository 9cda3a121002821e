"""How far a model's confidence can be trusted: fitted on the validation part, measured on the test part.

Four things are fitted: a temperature that divides the polarity's logits and one that divides those of the score's sign (Guo et
al., ICML 2017), a factor that turns the score's uncertainty into a 90 % interval (split conformal prediction, Lei et al., JASA
2018), and the confidence in the sign below which a window is set aside for a person to review.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from research.experiments.corpus import Rows
from stream.domain.features import Floats
from stream.training.metrics import REVIEWED, TEMPERATURES, calibration_error, wrong_shares

COVERAGE = 0.9


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says of some rows: (n,) scores, (n, 3) polarity probabilities, (n,) uncertainty in score points."""

    scores: Floats
    polarity: Floats
    uncertainty: Floats


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted on validation windows.

    Attributes:
        temperature: Divides the polarity's logits.
        sign_temperature: Divides the logits of the score's sign.
        factor: Half of the 90 % interval is so many uncertainties.
        review_below: Confidence in the sign below which a window is set aside.
    """

    temperature: float
    sign_temperature: float
    factor: float
    review_below: float


def signs(said: Answers, temperature: float) -> Floats:
    """(n, 2) chances that the score is below and above 0: a logistic distribution with the stated uncertainty around it."""
    upper = 0.5 + 0.5 * np.tanh(np.pi / np.sqrt(12.0) * said.scores / said.uncertainty / temperature)
    chances: Floats = np.stack([1.0 - upper, upper], axis=1)
    return chances


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """(n, 3) softmax(log p / T)."""
    logits = np.log(np.maximum(probabilities, 1e-8)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def calibrated(said: Answers, scores: Floats, polarities: Rows) -> Calibration:
    """Fit on validation answers and their truth; without scores the interval's factor is 0."""
    rows = np.arange(polarities.size)
    temperature = _coolest(lambda t: tempered(said.polarity, t)[rows, polarities])
    sided, upper = _sided(scores, polarities)
    sign_temperature = _coolest(lambda t: signs(said, t)[sided, upper])
    known = ~np.isnan(scores)
    factor = 0.0
    if known.any():
        ratios = np.abs(said.scores[known] - scores[known]) / said.uncertainty[known]
        level = min(1.0, np.ceil((ratios.size + 1) * COVERAGE) / ratios.size)
        factor = float(np.quantile(ratios, level, method="higher"))
    confidence = signs(said, sign_temperature).max(axis=1)
    return Calibration(temperature, sign_temperature, factor, float(np.quantile(confidence, REVIEWED)))


def calibration_numbers(fitted: Calibration, said: Answers, scores: Floats, polarities: Rows) -> dict[str, float]:
    """Measure on test answers.

    Returns:
        ``ece`` of the polarity and ``ece_before`` the temperature, ``ece_sign`` of the score's sign; ``reviewed``, the share set
        aside, ``wrong_reviewed`` and ``wrong_kept``, the shares of wrong signs among those and the rest (windows annotated 0 left
        out), and ``wrong_polarity_reviewed`` and ``wrong_polarity_kept`` of the three classes; with scores also ``coverage`` of
        the 90 % interval and its mean ``half_width``.
    """
    probabilities, chances = tempered(said.polarity, fitted.temperature), signs(said, fitted.sign_temperature)
    sided, upper = _sided(scores, polarities)
    aside = chances.max(axis=1) < fitted.review_below
    found = {
        "ece_before": calibration_error(said.polarity, polarities),
        "ece": calibration_error(probabilities, polarities),
        "ece_sign": calibration_error(chances[sided], upper),
        "reviewed": float(aside.mean()),
        **wrong_shares("wrong", chances[sided].argmax(axis=1) != upper, aside[sided]),
        **wrong_shares("wrong_polarity", probabilities.argmax(axis=1) != polarities, aside),
    }
    known = ~np.isnan(scores)
    if known.any():
        half = fitted.factor * said.uncertainty[known]
        inside = np.abs(said.scores[known] - scores[known]) <= half
        found |= {"coverage": float(inside.mean()), "half_width": float(half.mean())}
    return found


def _coolest(chances: Callable[[float], Floats]) -> float:
    """The temperature with the least cross-entropy, from the chances of the truth at each."""
    return min(TEMPERATURES, key=lambda t: float(-np.log(np.maximum(chances(t), 1e-8)).mean()))


def _sided(scores: Floats, polarities: Rows) -> tuple[Rows, Rows]:
    """Rows whose truth has a sign, and which: 1 above 0. By the polarity where there is no score."""
    side = np.where(np.isnan(scores), polarities - 1.0, np.sign(scores))
    sided = np.flatnonzero(side)
    return sided, (side[sided] > 0).astype(np.int64)
