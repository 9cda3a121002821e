"""Nuisances that are planted in recordings: the words and the emotion stay the same, the line or the room changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from stream.nuisances.line_effects import TELEPHONE_HZ, Signal, band, hum, noise, tilt


def gain(signal: Signal, db: float) -> Signal:
    """Amplify a signal."""
    return np.asarray(signal * 10.0 ** (db / 20.0))


PLANTED: Mapping[str, Callable[[Signal, np.random.Generator], Signal]] = {
    "telephone band": lambda signal, _: band(signal, *TELEPHONE_HZ),
    "low-pass 3 kHz": lambda signal, _: band(signal, 0.0, 3_000.0),
    "tilt -3 dB/octave": lambda signal, _: tilt(signal, -3.0),
    "50 Hz hum": lambda signal, _: hum(signal, -30.0),
    "noise -40 dBFS": lambda signal, rng: noise(signal, -40.0, rng),
    "gain -12 dB": lambda signal, _: gain(signal, -12.0),
}
"""Nuisances of fixed strength. Answers under them are compared with those to the plain recording."""
