"""From samples to the audio encoder's log-mel blocks, and to 100 ms segments with or without sound."""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.media_format import BLOCK_SAMPLES, FULL_SCALE, MEL_BINS, MEL_FRAMES, SAMPLE_RATE, SEGMENT_MS, SEGMENT_SAMPLES

FRAME_SAMPLES = SAMPLE_RATE * 25 // 1_000
HOP_SAMPLES = SAMPLE_RATE * 10 // 1_000
"""Windows of 25 ms every 10 ms, as usual for speech. The transform is as long as a window."""

TOP_MEL = 15.0 + 27.0 * math.log(SAMPLE_RATE / 2 / 1_000.0) / math.log(6.4)
"""8 kHz on Slaney's mel scale, which is linear to 1 kHz (15 mels) and then has 27 mels for each factor of 6.4."""

POWER_FLOOR = 1e-10
"""Smallest mel power, relative to full scale. It keeps the logarithm of digital silence finite."""

LOG_RANGE = 8.0
"""A block's mel powers are raised to at least 10^-8 of its greatest one."""

LOUDEST = 1.5
"""Where the greatest log10 power of every block is put, about that of loud speech: the level of a line says nothing about the speaker."""


def log_mel(samples: npt.NDArray[np.int16]) -> Floats:
    """Whisper's input for one block: its log-mel power (arXiv 2212.04356), here with the level taken out.

    With the mel power p of bin b in frame t,

        l(b, t) = log10 max(p(b, t), 1e-10)
        x(b, t) = (max(l(b, t) - max l, -8) + 1.5 + 4) / 4

    Args:
        samples: (n,) int16 at 16 kHz, at most a second; a shorter block is padded with zeros.

    Returns:
        (80, 100) float32: bin, frame. Frame t is centred on t * 10 ms.

    Raises:
        ValueError: There is more than a second, or the array is not one-dimensional.
    """
    if samples.ndim != 1 or samples.shape[0] > BLOCK_SAMPLES:
        raise ValueError(f"a block has at most {BLOCK_SAMPLES} samples in one dimension")
    half = FRAME_SAMPLES // 2
    padded = np.zeros(BLOCK_SAMPLES + 2 * half, dtype=np.float32)
    np.divide(samples, np.float32(FULL_SCALE), out=padded[half : half + samples.shape[0]])
    # The first frame is centred on the first sample: what would be before it is reflected, and so is what would be after the last one.
    padded[:half] = padded[2 * half : half : -1]
    padded[-half:] = padded[-half - 2 : -2 * half - 2 : -1]
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::HOP_SAMPLES][:MEL_FRAMES]
    spectrum = np.fft.rfft(frames * _hann(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    log = np.log10(np.maximum(power @ _filters(), POWER_FLOOR))
    levelled = np.maximum(log - log.max(), -LOG_RANGE) + LOUDEST
    return np.ascontiguousarray(((levelled + 4.0) / 4.0).T.astype(np.float32))


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
    padded = np.zeros((count, SEGMENT_SAMPLES), dtype=np.float64)
    padded.reshape(-1)[: samples.shape[0]] = samples
    # A short last segment is measured over its own samples, not over its padding.
    lengths = np.minimum(SEGMENT_SAMPLES, samples.shape[0] - SEGMENT_SAMPLES * np.arange(count))
    mean_square = np.einsum("ij,ij->i", padded, padded) / (lengths * FULL_SCALE**2)
    # The floor of -120 dB keeps the logarithm of digital silence finite.
    audible = 10.0 * np.log10(np.maximum(mean_square, 1e-12)) >= silence_dbfs
    return spans, audible


def band_hz(first: int, last: int) -> tuple[float, float]:
    """The frequencies (Hz) that the mel bins from `first` to before `last` stand for; neighbouring bands touch."""
    edges = _slaney_hz(np.linspace(0.0, TOP_MEL, MEL_BINS + 2))
    # Filters overlap: halfway between the peaks of two filters the one gives way to the other.
    between = np.concatenate([edges[:1], (edges[1:-2] + edges[2:-1]) / 2, edges[-1:]])
    return float(between[first]), float(between[last])


def with_still_band(block: Floats, first: int, last: int) -> Floats:
    """A block in which the bins from `first` to before `last` no longer move: each stays at its mean, and the level is taken out again.

    A band that is silent instead would be a sound that no voice makes, and the encoder would judge that.

    Args:
        block: (80, 100) of `log_mel`.
        first: The first bin.
        last: The bin after the last.
    """
    still = block.copy()
    still[first:last] = block[first:last].mean(axis=1, keepdims=True)
    still += block.max() - still.max()
    return still


@functools.cache
def _hann() -> Floats:
    # Periodic, as spectral analysis needs it; `np.hanning` makes symmetric windows, which are one sample longer.
    window: Floats = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32)
    return window


@functools.cache
def _filters() -> Floats:
    """(201, 80) triangular mel filters of equal area from 0 to 8 kHz, on Slaney's mel scale: linear to 1 kHz, logarithmic above."""
    edges = _slaney_hz(np.linspace(0.0, TOP_MEL, MEL_BINS + 2))
    hz = np.linspace(0.0, SAMPLE_RATE / 2, FRAME_SAMPLES // 2 + 1)[:, None]
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    filters: Floats = (np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (edges[2:] - edges[:-2])).astype(np.float32)
    return filters


def _slaney_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Frequencies of mels: 15 mels to 1 kHz, then 27 for each factor of 6.4."""
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1_000.0 * 6.4 ** ((mel - 15.0) / 27.0))
