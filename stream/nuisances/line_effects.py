"""Effects of a telephone line or a room on a voice: band limits, tone, hum, noise, reverberation.

All functions take and return (n,) float64 samples at 16 kHz in the range of int16.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.domain.media_format import FULL_SCALE, SAMPLE_RATE

Signal = npt.NDArray[np.float64]
TELEPHONE_HZ = (300.0, 3_400.0)
HUM_HARMONICS = (1.0, 0.5, 0.25)
TILT_AROUND_HZ = 1_000.0


def band(signal: Signal, low_hz: float, high_hz: float) -> Signal:
    """Keep only a band, as a telephone line (`TELEPHONE_HZ`) or a narrow-band codec does; edges are a tenth of their frequency wide."""
    hz = _frequencies(signal)
    rising = np.clip((hz - 0.9 * low_hz) / max(0.2 * low_hz, 1e-9), 0.0, 1.0)
    falling = np.clip((1.1 * high_hz - hz) / (0.2 * high_hz), 0.0, 1.0)
    return _filtered(signal, np.asarray(rising * falling))


def tilt(signal: Signal, db_per_octave: float) -> Signal:
    """Make a voice brighter or duller: a slope in dB per octave around 1 kHz."""
    octaves = np.log2(np.maximum(_frequencies(signal), 50.0) / TILT_AROUND_HZ)
    return _filtered(signal, 10.0 ** (db_per_octave * octaves / 20.0))


def hum(signal: Signal, level_dbfs: float, mains_hz: float = 50.0) -> Signal:
    """Add mains hum with two harmonics; `level_dbfs` is the level of the fundamental relative to full scale."""
    times = np.arange(signal.shape[0]) / SAMPLE_RATE
    waves = [share * np.sin(2.0 * np.pi * mains_hz * (k + 1) * times) for k, share in enumerate(HUM_HARMONICS)]
    return np.asarray(signal + FULL_SCALE * 10.0 ** (level_dbfs / 20.0) * np.sum(waves, axis=0))


def noise(signal: Signal, level_dbfs: float, rng: np.random.Generator) -> Signal:
    """Add white noise of a level relative to full scale."""
    return np.asarray(signal + rng.standard_normal(signal.shape[0]) * FULL_SCALE * 10.0 ** (level_dbfs / 20.0))


def tone(signal: Signal, level_dbfs: float, hz: float) -> Signal:
    """Add a steady tone; the level is that of the sine relative to full scale."""
    times = np.arange(signal.shape[0]) / SAMPLE_RATE
    return np.asarray(signal + FULL_SCALE * 10.0 ** (level_dbfs / 20.0) * np.sin(2.0 * np.pi * hz * times))


def resampled(signal: Signal, factor: float) -> Signal:
    """Make a voice higher (above 1) or lower by a factor, in pitch and formants, as of another throat; it also becomes faster or slower."""
    return np.asarray(np.interp(np.arange(0, signal.shape[0] - 1, factor), np.arange(signal.shape[0]), signal))


def level_dbfs(signal: Signal) -> float:
    """Root mean square relative to full scale, at least -120 dB."""
    return 10.0 * float(np.log10(max(float(np.mean(np.square(signal / FULL_SCALE))) if signal.size else 0.0, 1e-12)))


def room(signal: Signal, rng: np.random.Generator) -> Signal:
    """Put a voice into a random room: noise that decays by 60 dB in 0.15 to 0.7 s, 3 to 14 dB below the direct sound (Polack 1988).

    The result is longer by a third of that time.
    """
    length = int(rng.uniform(0.15, 0.7) * SAMPLE_RATE)
    response = rng.standard_normal(length) * 10.0 ** (-3.0 * np.arange(length) / length)
    response *= 10.0 ** (rng.uniform(-14.0, -3.0) / 20.0) / np.sqrt((response**2).sum())
    response[0] = 1.0
    whole = signal.shape[0] + length - 1
    size = 1 << (whole - 1).bit_length()
    heard = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(response, size), size)
    return np.asarray(heard[: signal.shape[0] + length // 3], dtype=np.float64)


def random_line(signal: Signal, rng: np.random.Generator) -> Signal:
    """Send a voice over a random line: two in three have a narrower band, some another tone or hum, and all have noise."""
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


def _frequencies(signal: Signal) -> Signal:
    return np.asarray(np.fft.rfftfreq(signal.shape[0], 1.0 / SAMPLE_RATE), dtype=np.float64)


def _filtered(signal: Signal, response: Signal) -> Signal:
    return np.fft.irfft(np.fft.rfft(signal) * response, n=signal.shape[0])
