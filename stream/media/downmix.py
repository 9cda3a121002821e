"""Mixes the channels of a recording to one, with speech at its level: pure.

The mean of all channels is right for two people on two channels. It fails where channels hold nothing (every silent one makes the rest
quieter), where one is the other with opposite sign (they cancel out), and for film sound (speech is in the centre alone). So:

- The sum is divided by the number of channels that hold sound, not by the number of channels.
- A channel with opposite sign is turned over.
- A centre channel counts in full, and all others together count half.
- A subwoofer channel counts nothing, and of an ambisonic recording only its first channel counts, which hears all directions alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.media.media_info import Problem

Planes = npt.NDArray[np.float32]
"""(channels, n), full scale at 1."""

Levels = npt.NDArray[np.float64]
"""(channels,) root mean squares, full scale at 1."""

LIVE_BELOW_LOUDEST = 10 ** (-30 / 20)
"""A channel holds sound if it comes within 30 dB of the loudest one: noise of an open line is lower, a quiet speaker is not."""

LIVE_LEVEL = 10 ** (-60 / 20)
"""And if it comes above -60 dBFS: digital silence and dither are lower."""

MIN_CORRELATION = 0.9
"""Two channels are the same sound, with equal or opposite sign, from this absolute correlation."""

MAX_LEVEL_RATIO = 2.0
"""Channels with opposite sign cancel out only if their levels are alike, within 6 dB; a weak echo of the other side does not matter."""

BAND_RATE = 8_000
"""Samples a second by which channels are compared."""

MEMORY_S = 0.1
"""Time over which levels and correlations are averaged."""

MIN_INVERTED_S = 0.5
"""Inverted channels are reported when they have been turned over for this long."""

_SUBWOOFERS = frozenset({"LFE", "LFE2"})
_CENTRE = "FC"
_OTHERS_SHARE = 0.5


def speech_band(planes: Planes, rate: int) -> Planes:
    """The part of the sound below some 4 kHz, with fewer samples: above, codecs do not keep the signs of channels, and noise is louder."""
    step = max(1, rate // BAND_RATE)
    whole = planes[:, : planes.shape[1] // step * step]
    return np.asarray(whole.reshape(planes.shape[0], -1, step).mean(axis=2), np.float32)


def levels(planes: Planes, rate: int) -> Levels:
    """The level of each channel in the speech band."""
    band = speech_band(planes, rate)
    return np.asarray(np.sqrt(np.mean(np.square(band, dtype=np.float64), axis=1))) if band.shape[1] else np.zeros(planes.shape[0])


class Downmix:
    """Mixes the blocks of one stream in order. A change of its channels needs a new one."""

    def __init__(self, layout: str, channels: Sequence[str], rate: int, known_levels: Levels | None = None) -> None:
        """Make a mixer.

        Args:
            layout: FFmpeg's name of the layout.
            channels: FFmpeg's names of the channels in order, such as ``FL``.
            rate: Samples a second.
            known_levels: (channels,) levels that each channel reaches somewhere in the recording, if known.
        """
        count = len(channels)
        used = [0] if layout.startswith("ambisonic") else [number for number, name in enumerate(channels) if name not in _SUBWOOFERS]
        self._used = np.array(used or list(range(count)))
        self._centre = channels.index(_CENTRE) if _CENTRE in channels and count > 2 else None
        self._rate = rate
        self._loudest = np.zeros(count) if known_levels is None else known_levels.astype(np.float64)
        self._signs = np.ones(count, np.float32)
        self._products = np.zeros(count)
        self._powers = np.zeros(count)
        self._mix_power = 0.0
        self._inverted_samples = 0

    def mix(self, planes: Planes) -> npt.NDArray[np.float32]:
        """Mix a block of some 20 to 200 ms.

        Args:
            planes: (channels, n) samples.

        Returns:
            (n,) samples.
        """
        if not planes.shape[1]:
            return np.zeros(0, np.float32)
        self._loudest = np.maximum(self._loudest, levels(planes, self._rate))
        keep = float(np.exp(-planes.shape[1] / (MEMORY_S * self._rate)))
        band = speech_band(planes, self._rate)
        self._powers = keep * self._powers + np.sum(np.square(band, dtype=np.float64), axis=1)
        self._turn_over(band, keep)
        if (self._signs < 0).any():
            self._inverted_samples += planes.shape[1]
        weights = self._weights() * self._signs
        mixed = np.asarray(weights @ planes, np.float32)
        # The same sound in several channels adds up: it is turned down to the level of the loudest of them.
        self._mix_power = keep * self._mix_power + float(np.sum(np.square(weights @ band, dtype=np.float64)))
        loudest = float(self._powers[self._used].max())
        return mixed * np.float32(np.sqrt(loudest / self._mix_power)) if self._mix_power > loudest else mixed

    @property
    def problems(self) -> frozenset[Problem]:
        """What was noticed so far."""
        found = set()
        if self._inverted_samples > MIN_INVERTED_S * self._rate:
            found.add(Problem.CHANNELS_INVERTED)
        # Film sound often leaves channels empty; one of two that is empty is a broken cable or a person who was not recorded.
        if len(self._loudest) == 2 and 0 < self._live().sum() < 2:
            found.add(Problem.DEAD_CHANNEL)
        return frozenset(found)

    def _live(self) -> npt.NDArray[np.bool_]:
        """(channels,) True where a channel holds sound."""
        loudest = float(self._loudest[self._used].max())
        live = np.zeros(len(self._loudest), np.bool_)
        live[self._used] = self._loudest[self._used] >= max(LIVE_LEVEL, loudest * LIVE_BELOW_LOUDEST)
        return live

    def _weights(self) -> Planes:
        """(channels,) weights. A channel without sound has the weight of the others: what little it holds is not left out."""
        live = self._live()
        weights = np.zeros(len(live), np.float32)
        if self._centre is not None and live[self._centre]:
            weights[self._used] = _OTHERS_SHARE / max(1, live.sum() - 1)
            weights[self._centre] = 1.0
        else:
            weights[self._used] = 1.0 / max(1, live.sum())
        return weights

    def _turn_over(self, band: Planes, keep: float) -> None:
        """Find the channels that are the first live one with opposite sign."""
        live = np.flatnonzero(self._live())
        if live.size < 2:
            return
        first = band[live[0]].astype(np.float64)
        self._products = keep * self._products + band @ first
        power = self._powers[live[0]]
        for number in live[1:]:
            scale = float(np.sqrt(power * self._powers[number]))
            alike = power < MAX_LEVEL_RATIO**2 * self._powers[number] and self._powers[number] < MAX_LEVEL_RATIO**2 * power
            if not alike or power / (MEMORY_S * BAND_RATE) < LIVE_LEVEL**2:
                continue
            correlation = self._products[number] / scale
            if correlation < -MIN_CORRELATION:
                self._signs[number] = -1.0
            elif correlation > MIN_CORRELATION:
                self._signs[number] = 1.0
