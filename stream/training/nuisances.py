"""What a line or a room does to a voice without changing what it says: band limits, tone, hum, noise, level.

All functions take and give (n,) float64 samples in the range of int16 at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from stream.encoders.shapes import SAMPLE_RATE

Signal = npt.NDArray[np.float64]
FULL_SCALE = 32_768.0
TELEPHONE_HZ = (300.0, 3_400.0)
HUM_HARMONICS = (1.0, 0.5, 0.25)
TILT_AROUND_HZ = 1_000.0


def band(signal: Signal, low_hz: float, high_hz: float) -> Signal:
    """Only a band, with edges of a tenth of their frequency, as a telephone line (`TELEPHONE_HZ`) or a narrow codec leaves it."""
    hz = _frequencies(signal)
    rising = np.clip((hz - 0.9 * low_hz) / max(0.2 * low_hz, 1e-9), 0.0, 1.0)
    falling = np.clip((1.1 * high_hz - hz) / (0.2 * high_hz), 0.0, 1.0)
    return _filtered(signal, np.asarray(rising * falling))


def tilt(signal: Signal, db_per_octave: float) -> Signal:
    """Brighter or duller by so much an octave around 1 kHz."""
    octaves = np.log2(np.maximum(_frequencies(signal), 50.0) / TILT_AROUND_HZ)
    return _filtered(signal, 10.0 ** (db_per_octave * octaves / 20.0))


def hum(signal: Signal, level_dbfs: float, mains_hz: float = 50.0) -> Signal:
    """With mains hum and two harmonics; the fundamental at a level below full scale."""
    times = np.arange(signal.shape[0]) / SAMPLE_RATE
    waves = [share * np.sin(2.0 * np.pi * mains_hz * (k + 1) * times) for k, share in enumerate(HUM_HARMONICS)]
    return np.asarray(signal + FULL_SCALE * 10.0 ** (level_dbfs / 20.0) * np.sum(waves, axis=0))


def noise(signal: Signal, level_dbfs: float, rng: np.random.Generator) -> Signal:
    """With white noise of a level."""
    return np.asarray(signal + rng.standard_normal(signal.shape[0]) * FULL_SCALE * 10.0 ** (level_dbfs / 20.0))


def gain(signal: Signal, db: float) -> Signal:
    """Louder or quieter."""
    return np.asarray(signal * 10.0 ** (db / 20.0))


def some_line(signal: Signal, rng: np.random.Generator) -> Signal:
    """A line drawn by chance: perhaps a narrower band, another tone, hum, and always some noise."""
    kind = rng.random()
    if kind < 1 / 3:
        signal = band(signal, TELEPHONE_HZ[0] * rng.uniform(0.7, 1.2), TELEPHONE_HZ[1] * rng.uniform(0.9, 1.2))
    elif kind < 2 / 3:
        signal = band(signal, 0.0, rng.uniform(2_500.0, 6_500.0))
    if rng.random() < 1 / 2:
        signal = tilt(signal, rng.uniform(-4.0, 4.0))
    if rng.random() < 1 / 3:
        signal = hum(signal, rng.uniform(-50.0, -25.0), 50.0 if rng.random() < 1 / 2 else 60.0)
    return noise(signal, rng.uniform(-75.0, -35.0), rng)


PLANTED: Mapping[str, Callable[[Signal, np.random.Generator], Signal]] = {
    "telephone band": lambda signal, _: band(signal, *TELEPHONE_HZ),
    "low-pass 3 kHz": lambda signal, _: band(signal, 0.0, 3_000.0),
    "tilt -3 dB/octave": lambda signal, _: tilt(signal, -3.0),
    "50 Hz hum": lambda signal, _: hum(signal, -30.0),
    "noise -40 dBFS": lambda signal, rng: noise(signal, -40.0, rng),
    "gain -12 dB": lambda signal, _: gain(signal, -12.0),
}
"""The nuisances under which answers are compared with those to the plain recording; their strengths are fixed."""


def _frequencies(signal: Signal) -> Signal:
    return np.asarray(np.fft.rfftfreq(signal.shape[0], 1.0 / SAMPLE_RATE), dtype=np.float64)


def _filtered(signal: Signal, response: Signal) -> Signal:
    return np.fft.irfft(np.fft.rfft(signal) * response, n=signal.shape[0])
