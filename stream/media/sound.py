"""From decoded frames to samples at 16 kHz. The input is hostile: runs in the reader's child process only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from stream.domain.media_format import SAMPLE_RATE
from stream.media.downmix import Downmix, Levels, Planes
from stream.media.media_info import Problem
from stream.media.pcm import Samples

BLOCK_S = 0.2
"""Frames are collected to blocks of this length: to mix and resample each frame of 20 ms by itself takes five times as long."""

UNSAFE_PLANES = 8
"""Planes from which PyAV cannot be trusted with a frame."""

MAX_LAYOUT_CHANNELS = 8
"""7.1 surround sound: what has more is a mixing desk, a conference bridge or a microphone array."""

SoundParameters = tuple[int, str, tuple[str, ...]]
"""Samples a second, layout, and names of the channels."""


def sound_parameters(frame: Any) -> SoundParameters:
    """The parameters of a frame."""
    return frame.sample_rate, frame.layout.name, tuple(channel.name for channel in frame.layout.channels)


class Converter:
    """Takes the sounds to read from frames of equal parameters, at 16 kHz.

    Attributes:
        parameters: Of the frames.
    """

    def __init__(self, parameters: SoundParameters, sources: Sequence[int | None], known_levels: Levels | None = None) -> None:
        """Make a converter.

        Args:
            parameters: Of the frames.
            sources: The channels to read; None stands for the mix of all channels.
            known_levels: (channels,) levels that each channel reaches somewhere in the recording, if known.
        """
        self.parameters = parameters
        self._rate, layout, channels = parameters
        self._sources = sources
        self._noticed: set[Problem] = set()
        self._downmix = Downmix(layout, channels, self._rate, known_levels)
        self._resamplers = [av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE) for _ in sources]
        self._taken = self._given = 0
        self._held: list[Planes] = []

    @property
    def delay_s(self) -> float:
        """Time of the samples that were taken in and not yet given out."""
        return self._taken / self._rate - self._given / SAMPLE_RATE

    @property
    def problems(self) -> frozenset[Problem]:
        """What was noticed so far."""
        return frozenset(self._noticed) | (self._downmix.problems if None in self._sources else frozenset[Problem]())

    def convert(self, frame: Any) -> Samples:
        """(sources, n) int16 samples. Short frames are held until there are enough of them."""
        planes = sound_planes(frame)
        self._taken += planes.shape[1]
        self._held.append(planes)
        if sum(held.shape[1] for held in self._held) < BLOCK_S * self._rate:
            return np.empty((len(self._sources), 0), np.int16)
        return self._convert_held()

    def _convert_held(self) -> Samples:
        planes = np.concatenate(self._held, axis=1)
        self._held = []
        return self._resampled([self._mono_frame(self._sound(planes, source)) for source in self._sources])

    def flush(self) -> Samples:
        """The samples that were taken in and not yet given out."""
        held = [self._convert_held()] if self._held else []
        samples = np.concatenate([*held, self._resampled([None] * len(self._sources))], axis=1)
        self._resamplers = [av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE) for _ in self._sources]
        self._taken = self._given = 0
        return samples

    def _sound(self, planes: Planes, source: int | None) -> npt.NDArray[np.float32]:
        if source is None:
            if planes.shape[0] > MAX_LAYOUT_CHANNELS:
                self._noticed.add(Problem.TOO_MANY_CHANNELS)
            return self._downmix.mix(planes)
        if source < planes.shape[0]:
            sound: npt.NDArray[np.float32] = planes[source]
            return sound
        # A stream that has fewer channels from here on: nobody knows whose sound the remaining ones are.
        self._noticed.add(Problem.CHANNEL_ENDED)
        return np.zeros(planes.shape[1], np.float32)

    def _mono_frame(self, sound: npt.NDArray[np.float32]) -> Any:
        # Without a time, the resampler appends one frame to the next: gaps are filled already.
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.reshape(1, -1)), format="fltp", layout="mono")
        frame.sample_rate = self._rate
        return frame

    def _resampled(self, frames: Sequence[Any]) -> Samples:
        outputs = [
            np.concatenate([np.empty(0, np.int16), *(out.to_ndarray().reshape(-1) for out in resampler.resample(frame))])
            for resampler, frame in zip(self._resamplers, frames, strict=True)
        ]
        self._given += outputs[0].size
        return np.stack(outputs)


def has_time(frame: Any) -> bool:
    """True when a frame has a time. PyAV gives one without a time base as not a number."""
    return frame.time is not None and math.isfinite(frame.time)


def sound_planes(frame: Any) -> Planes:
    """The samples of a frame in any format as (channels, n) float32, full scale at 1."""
    channels = frame.layout.nb_channels
    # PyAV reads past the end of eight or more planes, which ends the process, and it does not know 64-bit samples.
    if (frame.format.is_planar and channels >= UNSAFE_PLANES) or frame.format.name.startswith("s64"):
        frame.pts = None
        converted = _interleaver(frame.format.name, frame.layout.name, frame.sample_rate).resample(frame)
        samples, is_planar = np.concatenate([out.to_ndarray() for out in converted], axis=1), False
    else:
        samples, is_planar = frame.to_ndarray(), frame.format.is_planar
    planes = samples if is_planar else samples.reshape(-1, channels).T
    scaled: Planes = planes.astype(np.float32)
    if planes.dtype == np.uint8:
        return np.asarray(scaled / 128 - 1, np.float32)
    if np.issubdtype(planes.dtype, np.integer):
        return np.asarray(scaled / -float(np.iinfo(planes.dtype).min), np.float32)
    # Samples that are no numbers would spread through the filters to all that follow.
    return scaled if np.isfinite(scaled).all() else np.nan_to_num(scaled, posinf=1.0, neginf=-1.0)


@lru_cache(maxsize=1)
def _interleaver(format_name: str, layout: str, rate: int) -> Any:
    """A converter for frames of this format: each format needs one of its own."""
    return av.AudioResampler(format="flt", layout=layout, rate=rate)
