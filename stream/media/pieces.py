"""Cuts a media file's sound into pieces of at most a second, each the payload of a chunk. Runs in the reader's child process only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import av
import numpy as np

from stream.domain.media_format import SAMPLE_RATE
from stream.media.downmix import Levels
from stream.media.media_info import Problem
from stream.media.pcm import Samples
from stream.media.reading import StreamReading
from stream.media.sound import Converter, has_time, sound_parameters
from stream.media.timeline import MAX_SILENCE_S

MIN_GAP_S = 0.1
"""Smaller jumps of the audio clock are rounding and jitter of the container: filling them would stretch the recording."""

MAX_PADDING_MS = 100
"""Up to this much sound after the file's declared end is the codec's padding and is cut off; more is sound that the container forgot."""


@dataclass(frozen=True, slots=True)
class Piece:
    """At most a second of one stream; `source` is the place of its `AudioSource` in the selection, and None for video."""

    modality: Literal["audio", "video"]
    source: int | None
    start_ms: int
    duration_ms: int
    payload: bytes


def audio_pieces(
    frames: Iterable[Any], reading: StreamReading, sources: Mapping[int | None, int], *, length_ms: int | None, known_levels: Levels | None
) -> Iterator[Piece]:
    """Seconds of s16le 16 kHz PCM.

    Media time is the number of samples. A stream that begins after the container's origin, or that lacks packets, would otherwise run
    ahead of the picture and the transcript: short gaps are filled with silence, and after a long one the next piece begins later.

    Args:
        frames: Decoded frames with media times.
        reading: The stream, and the account of it.
        sources: Place in the selection of each channel that is read; None stands for the mix of all channels.
        length_ms: The file's length, if known: codecs pad their last frame beyond it.
        known_levels: (channels,) levels that each channel reaches somewhere in the recording, if known.
    """
    cutter = _Cutter(reading, tuple(sources.values()))
    converter: Converter | None = None
    for frame in frames:
        parameters = sound_parameters(frame)
        if converter is None or converter.parameters != parameters:
            if converter is not None:
                reading.note(Problem.PARAMETERS_CHANGED)
                reading.problems |= converter.problems
                yield from cutter.add(converter.flush())
            converter = Converter(parameters, tuple(sources), known_levels if converter is None else None)
        if reading.times.has_clock and has_time(frame):
            gap_s = frame.time - cutter.reached_s - converter.delay_s
            if gap_s > MIN_GAP_S:
                yield from cutter.add(converter.flush())
            if gap_s > MAX_SILENCE_S:
                yield from cutter.skip_to(frame.time)
            elif gap_s > MIN_GAP_S:
                yield from cutter.add(np.zeros((len(sources), round(gap_s * SAMPLE_RATE)), np.int16))
        try:
            samples = converter.convert(frame)
        except (av.FFmpegError, ValueError):
            reading.note(Problem.DAMAGED)
            continue
        yield from cutter.add(samples)
    if converter is not None:
        reading.problems |= converter.problems
        yield from cutter.add(converter.flush())
    yield from cutter.finish(length_ms)


class _Cutter:
    """Cuts the sounds of a stream into pieces at whole seconds of media time."""

    def __init__(self, reading: StreamReading, places: Sequence[int]) -> None:
        self._reading = reading
        self._places = places
        self._pending = np.empty((len(places), 0), np.int16)
        self._start = 0
        """Number of the first pending sample, counted from media time 0."""

    @property
    def reached_s(self) -> float:
        """Media time of the end of the samples so far."""
        return (self._start + self._pending.shape[1]) / SAMPLE_RATE

    def add(self, samples: Samples) -> Iterator[Piece]:
        """Append (sources, n) samples."""
        self._pending = np.concatenate([self._pending, samples], axis=1) if self._pending.size else samples
        while self._pending.shape[1] >= (size := SAMPLE_RATE - self._start % SAMPLE_RATE):
            yield from self._take(size)

    def skip_to(self, time_s: float) -> Iterator[Piece]:
        """Leave a gap until a media time."""
        yield from self._take(self._pending.shape[1])
        # Pieces begin at whole milliseconds.
        self._start = max(self._start, round(time_s * 1000) * SAMPLE_RATE // 1000)

    def finish(self, length_ms: int | None) -> Iterator[Piece]:
        """The last piece."""
        end_ms = (self._start + self._pending.shape[1]) * 1000 // SAMPLE_RATE
        if length_ms is not None and 0 < end_ms - length_ms <= MAX_PADDING_MS:
            self._pending = self._pending[:, : max(0, length_ms * SAMPLE_RATE // 1000 - self._start)]
        yield from self._take(self._pending.shape[1])

    def _take(self, size: int) -> Iterator[Piece]:
        samples, self._pending = self._pending[:, :size], self._pending[:, size:]
        if size:
            start_ms, end_ms = self._start * 1000 // SAMPLE_RATE, -(-(self._start + size) * 1000 // SAMPLE_RATE)
            self._reading.sent(start_ms, end_ms)
            for place, sound in zip(self._places, samples, strict=True):
                yield Piece("audio", place, start_ms, end_ms - start_ms, sound.astype("<i2").tobytes())
        self._start += size
