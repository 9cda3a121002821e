"""Measures of nuisances in raw media, by name: how noisy, how narrow, how low, how blurred, how dark."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from stream.domain.media_format import SAMPLE_RATE
from stream.nuisances.line_effects import Signal, level_dbfs
from stream.nuisances.pictures import Crops

FRAME = SAMPLE_RATE * 25 // 1_000
MAINS_HZ = (40.0, 70.0)
PITCH_HZ = (70.0, 400.0)


def noise_db(signal: Signal) -> float:
    """Level of the quietest tenth of 25 ms frames relative to the loudest tenth, in dB: the noise between the words."""
    whole = signal.shape[0] // FRAME * FRAME
    if not whole:
        return 0.0
    power = np.square(signal[:whole].reshape(-1, FRAME)).mean(axis=1) + 1e-3
    return 10.0 * float(np.log10(np.quantile(power, 0.1) / np.quantile(power, 0.9)))


def band_hz(signal: Signal) -> float:
    """The frequency below which 99 % of the power lies."""
    hz, power = _spectrum(signal)
    return float(hz[np.searchsorted(np.cumsum(power), 0.99 * power.sum())])


def hum_db(signal: Signal) -> float:
    """Power around 50 and 60 Hz relative to the whole, in dB."""
    hz, power = _spectrum(signal)
    mains = power[(hz >= MAINS_HZ[0]) & (hz <= MAINS_HZ[1])].sum()
    return 10.0 * float(np.log10((mains + 1e-9) / (power.sum() + 1e-9)))


def pitch_hz(signal: Signal) -> float:
    """Strongest period of the signal between `PITCH_HZ` by its autocorrelation: tells voices apart."""
    size = 2 << max(1, signal.shape[0]).bit_length()
    alike = np.fft.irfft(np.abs(np.fft.rfft(signal, size)) ** 2)
    low, high = (int(SAMPLE_RATE / hz) for hz in reversed(PITCH_HZ))
    return SAMPLE_RATE / float(low + int(np.argmax(alike[low:high])))


def sharpness(crops: Crops) -> float:
    """Mean logarithm of the variance of the Laplacian relative to that of the crop; low where the face is blurred."""
    pixels = [crop.astype(np.float64) for crop in crops]
    return float(np.mean([np.log((cv2.Laplacian(crop, cv2.CV_64F).var() + 1.0) / (crop.var() + 1.0)) for crop in pixels]))


def brightness(crops: Crops) -> float:
    """Mean grey level."""
    return float(crops.mean())


def black(crops: Crops) -> float:
    """Share of black rows: of a bar or a border."""
    return float((crops.max(axis=2) < 16).mean())


SOUND: Mapping[str, Callable[[Signal], float]] = {
    "noise": noise_db,
    "band": band_hz,
    "hum": hum_db,
    "level": level_dbfs,
    "pitch": pitch_hz,
}
PICTURE: Mapping[str, Callable[[Crops], float]] = {"sharpness": sharpness, "brightness": brightness, "black rows": black}


def _spectrum(signal: Signal) -> tuple[Signal, Signal]:
    hz = np.fft.rfftfreq(signal.shape[0], 1.0 / SAMPLE_RATE)
    return np.asarray(hz), np.asarray(np.abs(np.fft.rfft(signal)) ** 2)
