"""Confidence fitted on one half of made-up answers and measured on the other."""

from __future__ import annotations

import numpy as np
import pytest

from research.experiments.calibration import Answers, calibrated, calibration_numbers, tempered
from research.experiments.corpus import Rows


def sharpened(count: int, seed: int, sharpness: float) -> tuple[Answers, np.ndarray[tuple[int, ...], np.dtype[np.float32]], Rows]:
    """Answers whose true chances are known, shown `sharpness` times as sure as they are; errors grow with the uncertainty."""
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet((0.7, 0.7, 0.7), size=count).astype(np.float32)
    polarities = np.array([rng.choice(3, p=row / row.sum()) for row in chances.astype(np.float64)], dtype=np.int64)
    uncertainty = rng.uniform(0.2, 1.5, count).astype(np.float32)
    truth = rng.uniform(-2, 2, count).astype(np.float32)
    scores = truth + uncertainty * rng.standard_normal(count).astype(np.float32)
    return Answers(scores, tempered(chances, 1 / sharpness), uncertainty), truth, polarities


def test_temperature_interval_and_review() -> None:
    said, truth, polarities = sharpened(3_000, 0, 2.5)
    fitted = calibrated(said, truth, polarities)
    assert fitted.temperature == pytest.approx(2.5, rel=0.1)
    found = calibration_numbers(fitted, *sharpened(3_000, 1, 2.5))
    assert found["ece"] < 0.03 < 0.1 < found["ece_before"]
    assert found["coverage"] == pytest.approx(0.9, abs=0.03)
    assert found["reviewed"] == pytest.approx(0.2, abs=0.04)
    assert found["ece_sign"] < 0.03
    assert found["wrong_reviewed"] > 3 * found["wrong_kept"]


def test_the_signs_temperature_undoes_overstated_certainty() -> None:
    said, truth, polarities = sharpened(3_000, 0, 1.0)
    sure = Answers(said.scores, said.polarity, (said.uncertainty / 3).astype(np.float32))
    fair, hot = calibrated(said, truth, polarities), calibrated(sure, truth, polarities)
    assert hot.sign_temperature == pytest.approx(3 * fair.sign_temperature, rel=0.1)
    assert hot.review_below == pytest.approx(fair.review_below, abs=0.02)


def test_without_scores_there_is_no_interval() -> None:
    said, truth, polarities = sharpened(50, 0, 1.0)
    nothing = np.full_like(truth, np.nan)
    found = calibration_numbers(calibrated(said, nothing, polarities), said, nothing, polarities)
    assert "coverage" not in found
    assert "ece" in found
