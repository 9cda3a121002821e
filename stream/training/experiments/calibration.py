"""How far a model's confidence can be trusted: fitted on the validation part, measured on the test part.

Three things are fitted: a temperature that divides the polarity's logits (Guo et al., ICML 2017), a factor that turns the
score's uncertainty into a 90 % interval (split conformal prediction, Lei et al., JASA 2018), and the confidence below which a
window is set aside for a person to review.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.domain.features import Floats
from stream.training.experiments.corpus import Rows
from stream.training.metrics import calibration_error

TEMPERATURES = np.geomspace(0.4, 4.0, 47)
COVERAGE = 0.9
REVIEWED = 0.2
"""Share of the validation windows that would be set aside."""


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
        factor: Half of the 90 % interval is so many uncertainties.
        review_below: Confidence of the polarity below which a window is set aside.
    """

    temperature: float
    factor: float
    review_below: float


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """(n, 3) softmax(log p / T)."""
    logits = np.log(np.maximum(probabilities, 1e-8)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def calibrated(said: Answers, scores: Floats, polarities: Rows) -> Calibration:
    """Fit on validation answers and their truth; without scores the interval's factor is 0."""
    rows = np.arange(polarities.size)
    entropies = [-np.log(np.maximum(tempered(said.polarity, t)[rows, polarities], 1e-8)).mean() for t in TEMPERATURES]
    temperature = float(TEMPERATURES[int(np.argmin(entropies))])
    known = ~np.isnan(scores)
    factor = 0.0
    if known.any():
        ratios = np.abs(said.scores[known] - scores[known]) / said.uncertainty[known]
        level = min(1.0, np.ceil((ratios.size + 1) * COVERAGE) / ratios.size)
        factor = float(np.quantile(ratios, level, method="higher"))
    confidence = tempered(said.polarity, temperature).max(axis=1)
    return Calibration(temperature, factor, float(np.quantile(confidence, REVIEWED)))


def calibration_numbers(fitted: Calibration, said: Answers, scores: Floats, polarities: Rows) -> dict[str, float]:
    """Measure on test answers.

    Returns:
        ``ece`` of the polarity and ``ece_before`` the temperature; ``reviewed``, the share set aside, ``wrong_reviewed`` and
        ``wrong_kept``, the shares of wrong polarities among those and the rest; with scores also ``coverage`` of the 90 %
        interval and its mean ``half_width``.
    """
    probabilities = tempered(said.polarity, fitted.temperature)
    wrong = probabilities.argmax(axis=1) != polarities
    aside = probabilities.max(axis=1) < fitted.review_below
    found = {
        "ece_before": calibration_error(said.polarity, polarities),
        "ece": calibration_error(probabilities, polarities),
        "reviewed": float(aside.mean()),
        "wrong_reviewed": float(wrong[aside].mean()) if aside.any() else 0.0,
        "wrong_kept": float(wrong[~aside].mean()) if not aside.all() else 0.0,
    }
    known = ~np.isnan(scores)
    if known.any():
        half = fitted.factor * said.uncertainty[known]
        inside = np.abs(said.scores[known] - scores[known]) <= half
        found |= {"coverage": float(inside.mean()), "half_width": float(half.mean())}
    return found
