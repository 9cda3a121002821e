"""Keeps picture and sound in step: estimates how far their media clocks are apart, and moves the pictures.

A chunk's capture time minus its media end is the wall clock at which its modality's media began. It should be the same for all modalities:
a difference is an offset between their clocks, a growing difference a drift. Capture times jitter, mostly upwards; an error that all
modalities share (a wall clock that is set, a producer that stalls) is no skew. Hence chunks are compared in pairs, the lower median of a
window's chunks is one measurement, and a Kalman filter of (offset, drift) takes one measurement for each window.

Everything here is a function of a window's chunks and of the estimate before it: neither the order of arrival nor a replay changes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from msgspec import structs

from stream.align.modality_state import ModalityState
from stream.domain.clock_skew import ClockSkew
from stream.domain.features import VideoFeatures
from stream.domain.media_format import MAX_CHUNK_MS
from stream.domain.modality import Modality

SUSPECT_MS = 185
"""A larger skew is more than viewers accept (ITU-R BT.1359, sound after picture). The same limit is used for both directions."""

NOISE_MS2 = 25.0**2
"""Variance of a measurement: capture times that jitter by 20 ms."""
DRIFT_PPM2 = 150.0**2
"""Variance of the drift before the first measurement: quartz clocks are off by 200 ppm at most."""
MAX_DRIFT_PPM = 400.0
"""Two clocks that each drift by 200 ppm, away from each other."""
WANDER_PPM2_PER_KS = 40.0
"""How fast a drift may change, for example with temperature."""
GATE = 4.0
"""A measurement this many standard deviations off is an outlier."""
STEP_AFTER = 6
"""This many outliers in a row are a step of a clock, for example of a camera that was plugged in again."""


Stamp = tuple[int, int]
"""The media time at which a chunk ends, and the wall clock at which its modality's media began according to its capture time."""


class Measurement(NamedTuple):
    """The skew that the capture times of one window show: `skew_ms` at media time `at_ms`, from `samples` pairs of chunks."""

    skew_ms: int
    at_ms: int
    samples: int


class VideoSkew:
    """The skew of a track's video clock against its audio clock, estimated window by window.

    Args:
        skew: The estimate at the last final window; None if no window is final.
        compared_ms: Media time up to which chunks have been compared.
    """

    __slots__ = ("_compared_ms", "current")

    def __init__(self, skew: ClockSkew | None, compared_ms: int) -> None:
        self.current = skew
        """The estimate at the last final window."""
        self._compared_ms = compared_ms

    def close_window(self, modalities: Mapping[Modality, ModalityState[Any]], start_ms: int, end_ms: int) -> ClockSkew | None:
        """Update the estimate with the chunks of a window that is final, and return it."""
        self.current = self.estimate(modalities, start_ms, end_ms)
        self._compared_ms = end_ms
        return self.current

    def estimate(self, modalities: Mapping[Modality, ModalityState[Any]], start_ms: int, until_ms: int) -> ClockSkew | None:
        """The estimate at a media time, with the window's chunks that have ended since the last final window.

        Chunks before the window's start do not count: whether they are still held depends on when they arrived.
        """
        audio = _stamps(modalities.get(Modality.AUDIO), start_ms, until_ms)
        video = _stamps(modalities.get(Modality.VIDEO), max(start_ms, self._compared_ms), until_ms)
        return updated(self.current, measure(audio, video))


def _stamps(modality: ModalityState[Any] | None, after_ms: int, until_ms: int) -> list[Stamp]:
    """Stamps of the held chunks that end in a span. A chunk that could not be decoded does not count: a replay will not see it."""
    if modality is None:
        return []
    return [
        (held.end_ms, held.captured_ms - held.end_ms)
        for held in modality.held
        if after_ms < held.end_ms <= until_ms and held.features is not None
    ]


def measure(audio: Sequence[Stamp], others: Sequence[Stamp]) -> Measurement | None:
    """Compare chunks with the audio chunks that end nearest to them; None when none ends within a chunk's length.

    Args:
        audio: Audio chunks of a window, in order of media time.
        others: New chunks of another modality, in order of media time.
    """
    if not audio or not others:
        return None
    by_end = dict(audio)
    matched, compared = [], []
    for end_ms, media_start_at_ms in others:
        nearest_ms = end_ms if end_ms in by_end else min(by_end, key=lambda audio_ms: abs(audio_ms - end_ms))
        if abs(nearest_ms - end_ms) <= MAX_CHUNK_MS:
            matched.append(by_end[nearest_ms])
            compared.append(media_start_at_ms)
    if not compared:
        return None
    return Measurement(_lower_median(compared) - _lower_median(matched), max(others)[0], len(compared))


def updated(skew: ClockSkew | None, found: Measurement | None) -> ClockSkew | None:
    """The estimate after one more window: one step of the Kalman filter, which ignores outliers unless they persist."""
    if found is None:
        return skew
    if skew is None:
        return _restarted(found, 0.0, DRIFT_PPM2)
    offset_ms, (offsets, both, drifts) = skew.at(found.at_ms), _variance_at(skew, found.at_ms)
    surprise, spread = found.skew_ms - offset_ms, offsets + NOISE_MS2
    if abs(surprise) > GATE * math.sqrt(spread):
        misses = skew.misses + 1
        if misses >= min(skew.samples, STEP_AFTER):
            return _restarted(found, skew.drift_ppm, drifts)
        variance = _rounded(offsets), _rounded(both), _rounded(drifts)
        return structs.replace(skew, offset_ms=_rounded(offset_ms), at_ms=found.at_ms, misses=misses, variance=variance)
    gain, drift_gain = offsets / spread, both / spread
    drift_ppm = skew.drift_ppm + drift_gain * surprise
    return ClockSkew(
        offset_ms=_rounded(offset_ms + gain * surprise),
        drift_ppm=_rounded(max(-MAX_DRIFT_PPM, min(MAX_DRIFT_PPM, drift_ppm))),
        at_ms=found.at_ms,
        samples=skew.samples + found.samples,
        misses=0,
        variance=(_rounded(offsets * (1 - gain)), _rounded(both * (1 - gain)), _rounded(drifts - drift_gain * both)),
    )


def _restarted(found: Measurement, drift_ppm: float, drifts: float) -> ClockSkew:
    """An estimate that rests on one measurement."""
    variance = NOISE_MS2, 0.0, _rounded(drifts)
    return ClockSkew(
        offset_ms=float(found.skew_ms), drift_ppm=drift_ppm, at_ms=found.at_ms, samples=found.samples, misses=0, variance=variance
    )


def correction_ms(skew: ClockSkew | None, media_ms: int, max_ms: int) -> int:
    """Milliseconds to add to a modality's times; 0 for a skew beyond `max_ms`, which is more likely a wrong capture time."""
    if skew is None:
        return 0
    shift_ms = round(skew.at(media_ms))
    return shift_ms if abs(shift_ms) <= max_ms else 0


def is_suspect(skew: ClockSkew | None, media_ms: int) -> bool:
    """True when the modalities are further apart than `SUSPECT_MS`."""
    return skew is not None and abs(skew.at(media_ms)) > SUSPECT_MS


def moved(features: VideoFeatures, shift_ms: int) -> VideoFeatures:
    """The same frames, `shift_ms` later. A frame that would begin before media time 0 begins there, unless it lies wholly before it."""
    if shift_ms == 0:
        return features
    spans = features.spans_ms + shift_ms
    spans[spans[:, 1] > 0, 0] = np.maximum(spans[spans[:, 1] > 0, 0], 0)
    return replace(features, spans_ms=spans)


def _variance_at(skew: ClockSkew, media_ms: int) -> tuple[float, float, float]:
    """Variances at a later media time: they grow with the time since the last measurement."""
    elapsed_ks = (media_ms - skew.at_ms) / 1e6
    offsets, both, drifts = skew.variance
    return offsets + elapsed_ks * (2 * both + elapsed_ks * drifts), both + elapsed_ks * drifts, drifts + elapsed_ks * WANDER_PPM2_PER_KS


def _rounded(number: float) -> float:
    """A number that survives JSON unchanged. The filter continues from it, so that the published estimate is its whole state."""
    return round(number * 1000) / 1000


def _lower_median(values: list[int]) -> int:
    return sorted(values)[(len(values) - 1) // 2]
