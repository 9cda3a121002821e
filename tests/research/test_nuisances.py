"""Nuisances that are added to recordings."""

from __future__ import annotations

import numpy as np
import pytest

from research.voices.nuisances import PLANTED, gain
from stream.domain.media_format import SAMPLE_RATE
from stream.nuisances.line_effects import Signal


def tone(hz: float) -> Signal:
    return np.asarray(3_000.0 * np.sin(2 * np.pi * hz * np.arange(SAMPLE_RATE) / SAMPLE_RATE))


def test_gain_changes_the_level_by_the_given_decibels() -> None:
    assert np.std(gain(tone(500.0), -12.0)) / np.std(tone(500.0)) == pytest.approx(10 ** (-12 / 20))


def test_nuisances_change_the_samples_but_not_their_number() -> None:
    signal = tone(200.0) + tone(5_000.0)
    for name, plant in PLANTED.items():
        changed = plant(signal, np.random.default_rng(0))
        assert changed.shape == signal.shape, name
        assert not np.allclose(changed, signal), name
