"""From samples to the audio encoder's log-mel blocks, and to 100 ms segments with or without sound."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.media_format import BLOCK_SAMPLES, FULL_SCALE, MEL_BINS, MEL_FRAMES, SAMPLE_RATE, SEGMENT_MS, SEGMENT_SAMPLES

FRAME_SAMPLES = SAMPLE_RATE * 25 // 1_000
HOP_SAMPLES = SAMPLE_RATE * 10 // 1_000
"""Windows of 25 ms every 10 ms, as usual for speech."""

FFT_SAMPLES = 512
"""Next power of two above a frame; the rest of the transform's input is zeros."""

MEL_LOW_HZ = 50.0
MEL_HIGH_HZ = 7_800.0
"""Range of the mel filters."""

POWER_FLOOR = 1e-8
"""Smallest mel power, relative to full scale: about the noise of a quiet room. Without it the logarithm would make digital silence, which
only some recordings have, the strongest feature of all."""

LOG_MEAN = -9.0
LOG_SCALE = 4.5
"""Bring the log-mel of speech near zero mean and unit variance. Part of the input format: the served encoder is trained with them."""


def log_mel(samples: npt.NDArray[np.int16]) -> Floats:
    """Standardised log-mel spectrogram of one block.

    Args:
        samples: (n,) int16 at 16 kHz, at most a second; a shorter block is padded with zeros.

    Returns:
        (64, 100) float32: bin, frame. Frame t is centred on t * 10 ms + 5 ms.

    Raises:
        ValueError: There is more than a second, or the array is not one-dimensional.
    """
    if samples.ndim != 1 or samples.shape[0] > BLOCK_SAMPLES:
        raise ValueError(f"a block has at most {BLOCK_SAMPLES} samples in one dimension")
    # Zeros on both sides centre each frame on its 10 ms; without them the block's last frames would lack samples.
    margin = (FRAME_SAMPLES - HOP_SAMPLES) // 2
    signal = np.zeros(BLOCK_SAMPLES + 2 * margin, dtype=np.float32)
    signal[margin : margin + samples.shape[0]] = samples.astype(np.float32) / FULL_SCALE
    frames = np.lib.stride_tricks.sliding_window_view(signal, FRAME_SAMPLES)[::HOP_SAMPLES][:MEL_FRAMES]
    spectrum = np.fft.rfft(frames * _hann(), n=FFT_SAMPLES, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) / FRAME_SAMPLES
    mel = power @ _filters()
    log = np.log(np.maximum(mel, POWER_FLOOR))
    return np.ascontiguousarray(((log - LOG_MEAN) / LOG_SCALE).T.astype(np.float32))


def segments(start_ms: int, samples: npt.NDArray[np.int16], silence_dbfs: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Cut samples into 100 ms segments and mark those with sound.

    Args:
        start_ms: Media time of the first sample.
        samples: (n,) int16 at 16 kHz.
        silence_dbfs: A segment is silent when its root mean square is below this level (0 = full scale).

    Returns:
        (k, 2) int64 spans in media milliseconds, and (k,) bool, True for sound; k = ceil(n / 1600). The last segment may be shorter.
    """
    count = -(-samples.shape[0] // SEGMENT_SAMPLES)
    starts = start_ms + SEGMENT_MS * np.arange(count, dtype=np.int64)
    media_end = start_ms + -(-samples.shape[0] * 1_000 // SAMPLE_RATE)
    spans = np.stack([starts, np.minimum(starts + SEGMENT_MS, media_end)], axis=1)
    padded = np.zeros(count * SEGMENT_SAMPLES, dtype=np.float64)
    padded[: samples.shape[0]] = samples.astype(np.float64) / FULL_SCALE
    # A short last segment is measured over its own samples, not over its padding.
    lengths = np.minimum(SEGMENT_SAMPLES, samples.shape[0] - SEGMENT_SAMPLES * np.arange(count))
    mean_square = (padded.reshape(count, SEGMENT_SAMPLES) ** 2).sum(axis=1) / lengths
    # The floor of -120 dB keeps the logarithm of digital silence finite.
    audible = 10.0 * np.log10(np.maximum(mean_square, 1e-12)) >= silence_dbfs
    return spans, audible


@functools.cache
def _hann() -> Floats:
    # Periodic, as spectral analysis needs it; `np.hanning` makes symmetric windows, which are one sample longer.
    window: Floats = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32)
    return window


@functools.cache
def _filters() -> Floats:
    """(257, 64) triangular mel filters, each with unit sum (O'Shaughnessy's mel scale, 2595 log10(1 + f / 700))."""
    low, high = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (MEL_LOW_HZ, MEL_HIGH_HZ))
    edges = 700.0 * (10.0 ** (np.linspace(low, high, MEL_BINS + 2) / 2595.0) - 1.0)
    hz = np.linspace(0.0, SAMPLE_RATE / 2, FFT_SAMPLES // 2 + 1)[:, None]
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rising, falling))
    # The lowest triangles are narrower than the distance of two FFT bins. A triangle without a bin gets the nearest: otherwise its mel
    # bin would be zero for every sound.
    empty = weights.sum(axis=0) == 0
    weights[np.abs(hz - edges[1:-1]).argmin(axis=0)[empty], np.flatnonzero(empty)] = 1.0
    filters: Floats = (weights / weights.sum(axis=0)).astype(np.float32)
    return filters
