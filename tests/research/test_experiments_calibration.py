"""Confidence is calibrated on one half of synthetic predictions and measured on the other half."""

from __future__ import annotations

import numpy as np
import pytest

from research.experiments.calibration import Answers, calibrated, calibration_numbers, tempered
from research.experiments.corpus import Rows


def sharpened(count: int, seed: int, sharpness: float) -> tuple[Answers, np.ndarray[tuple[int, ...], np.dtype[np.float32]], Rows]:
    """Predictions with known true probabilities, sharpened by a factor. Their errors grow with their uncertainty."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet((0.7, 0.7, 0.7), size=count).astype(np.float32)
    polarities = np.array([rng.choice(3, p=row / row.sum()) for row in probabilities.astype(np.float64)], dtype=np.int64)
    uncertainty = rng.uniform(0.2, 1.5, count).astype(np.float32)
    truth = rng.uniform(-2, 2, count).astype(np.float32)
    scores = truth + uncertainty * rng.standard_normal(count).astype(np.float32)
    return Answers(scores, tempered(probabilities, 1 / sharpness), uncertainty), truth, polarities


def test_temperature_interval_and_review_threshold_are_fitted() -> None:
    answers, truth, polarities = sharpened(3_000, 0, 2.5)
    fitted = calibrated(answers, truth, polarities)
    assert fitted.temperature == pytest.approx(2.5, rel=0.1)
    numbers = calibration_numbers(fitted, *sharpened(3_000, 1, 2.5))
    assert numbers["ece"] < 0.03 < 0.1 < numbers["ece_before"]
    assert numbers["coverage"] == pytest.approx(0.9, abs=0.03)
    assert numbers["reviewed"] == pytest.approx(0.2, abs=0.04)
    assert numbers["ece_sign"] < 0.03
    assert numbers["wrong_reviewed"] > 3 * numbers["wrong_kept"]


def test_the_temperature_of_the_sign_corrects_overconfidence() -> None:
    answers, truth, polarities = sharpened(3_000, 0, 1.0)
    overconfident = Answers(answers.scores, answers.polarity, (answers.uncertainty / 3).astype(np.float32))
    fair, corrected = calibrated(answers, truth, polarities), calibrated(overconfident, truth, polarities)
    assert corrected.sign_temperature == pytest.approx(3 * fair.sign_temperature, rel=0.1)
    assert corrected.review_below == pytest.approx(fair.review_below, abs=0.02)


def test_without_scores_there_is_no_interval() -> None:
    answers, truth, polarities = sharpened(50, 0, 1.0)
    no_scores = np.full_like(truth, np.nan)
    numbers = calibration_numbers(calibrated(answers, no_scores, polarities), answers, no_scores, polarities)
    assert "coverage" not in numbers
    assert "ece" in numbers
