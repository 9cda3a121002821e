"""Cuts a media file's streams into pieces of at most a second, each the payload of a chunk. Runs in the reader's child process only."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np

from stream.domain.media_format import MAX_CHUNK_BYTES, MAX_CHUNK_MS, SAMPLE_RATE
from stream.media.decode import upright
from stream.media.downmix import Levels
from stream.media.media_info import Problem
from stream.media.pcm import Samples
from stream.media.reading import StreamReading
from stream.media.sound import Converter, has_time, sound_parameters
from stream.media.timeline import MAX_PACKET_S, MAX_SILENCE_S

MAX_WIDTH = 640
"""Pictures are scaled down to this width: faces are searched for at half of it, and a second stays well below the chunk limit."""

MAX_FPS = 30
"""Faster films are thinned out: the pipeline looks at a few frames per second only."""

RATE_FACTORS = (23, 30, 37, 44, 51)
"""x264's constant rate factors to try, best quality first, until a second fits into a chunk; 51 is x264's worst."""

MIN_GAP_S = 0.1
"""Smaller jumps of the audio clock are rounding and jitter of the container: filling them would stretch the recording."""

MAX_PADDING_MS = 100
"""Up to this much sound after the file's declared end is the codec's padding and is cut off; more is sound that the container forgot."""

FALLBACK_FPS = 25
"""Rate of a film whose container does not state one."""

_CLOCK_RATE = 90_000
"""MPEG's usual clock: the frame times of all common rates are whole numbers of its ticks."""

_FRAME_TIME_TOLERANCE_S = 0.002
"""Containers that round to milliseconds put frames of a 30 fps film 33 or 34 ms apart; without it every second frame would be dropped."""


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


def video_pieces(frames: Iterable[Any], reading: StreamReading) -> Iterator[Piece]:
    """Seconds of H.264 in fragmented MP4. Each begins with an initialisation segment and a key frame, so it decodes by itself.

    Args:
        frames: Decoded frames with media times.
        reading: The stream, and the account of it.
    """
    pending: list[tuple[float, Any]] = []
    last_s = -1.0
    size: tuple[int, int] | None = None
    for time_s, frame in _timed(frames, reading):
        if size is not None and size != (frame.width, frame.height):
            reading.note(Problem.PARAMETERS_CHANGED)
        size = frame.width, frame.height
        if time_s < last_s + 1 / MAX_FPS - _FRAME_TIME_TOLERANCE_S:
            continue
        last_s = time_s
        if pending and _second_of(time_s) != _second_of(pending[0][0]):
            yield from _film_pieces(pending, (_second_of(pending[0][0]) + 1) * MAX_CHUNK_MS, reading)
            pending = []
        try:
            pending.append((time_s, _scaled(frame)))
        except (av.FFmpegError, ValueError):
            reading.note(Problem.DAMAGED)
    if pending:
        # The last frame is shown as long as the frames before it on average.
        alone_s = 1 / (reading.frame_rate or MAX_FPS)
        frame_s = (pending[-1][0] - pending[0][0]) / (len(pending) - 1) if len(pending) > 1 else alone_s
        end_ms = min(round((pending[-1][0] + frame_s) * 1000), (_second_of(pending[0][0]) + 1) * MAX_CHUNK_MS)
        yield from _film_pieces(pending, end_ms, reading)


def _second_of(time_s: float) -> int:
    """Second in which a frame begins. Rounded to milliseconds first, as chunks are: 0.9999 s is the start of second 1."""
    return int(round(time_s * 1000) // MAX_CHUNK_MS)


def _timed(frames: Iterable[Any], reading: StreamReading) -> Iterator[tuple[float, Any]]:
    """Frames with their media times; a frame without a time follows the one before it at the stream's rate."""
    next_s = 0.0
    for frame in frames:
        time_s = max(0.0, frame.time) if reading.times.has_clock and has_time(frame) else next_s
        next_s = time_s + 1 / (reading.frame_rate or FALLBACK_FPS)
        stated_s = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
        reading.shown_until_ms = max(reading.shown_until_ms, round(max(next_s, time_s + min(stated_s, MAX_PACKET_S)) * 1000))
        yield time_s, frame


def _scaled(frame: Any) -> Any:
    """The frame as yuv420p, upright, at most `MAX_WIDTH` wide. Its sides are even: yuv420p stores colour for 2x2 pixels."""
    if frame.rotation:
        frame = av.VideoFrame.from_ndarray(upright(frame.to_ndarray(format="rgb24"), frame.rotation), format="rgb24")
    width = min(MAX_WIDTH, frame.width) // 2 * 2
    height = max(2, round(frame.height * width / frame.width / 2) * 2)
    return frame.reformat(width=max(2, width), height=height, format="yuv420p")


def _film_pieces(frames: list[tuple[float, Any]], end_ms: int, reading: StreamReading) -> Iterator[Piece]:
    """The frames as one piece, or none when they cannot be encoded or fit into no chunk at any quality. A piece lasts at least 1 ms."""
    start_ms = min(round(frames[0][0] * 1000), end_ms - 1)
    for rate_factor in RATE_FACTORS:
        try:
            payload = _encode(frames, rate_factor)
        except (av.FFmpegError, ValueError):
            break
        if len(payload) <= MAX_CHUNK_BYTES:
            reading.sent(start_ms, end_ms)
            yield Piece("video", None, start_ms, end_ms - start_ms, payload)
            return
    reading.note(Problem.DAMAGED)


def _encode(frames: list[tuple[float, Any]], rate_factor: int) -> bytes:
    """H.264 in fragmented MP4: its index comes first, so a reader need not seek."""
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="mp4", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}) as output:
        stream: Any = output.add_stream("libx264", rate=MAX_FPS)
        stream.width, stream.height, stream.pix_fmt = frames[0][1].width, frames[0][1].height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, _CLOCK_RATE)
        # One group of pictures: no key frame but the first.
        stream.codec_context.gop_size = len(frames) + 1
        stream.codec_context.thread_count = 1
        # Fast, because a live pace must be kept on a small machine; without frames that refer to later ones, so times begin at 0.
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": str(rate_factor)}
        for time_s, frame in frames:
            # A film may change its size within a second, an encoded stream may not.
            same_size = frame.width == stream.width and frame.height == stream.height
            picture = frame if same_size else frame.reformat(width=stream.width, height=stream.height)
            picture.pts, picture.time_base = round((time_s - frames[0][0]) * _CLOCK_RATE), Fraction(1, _CLOCK_RATE)
            # A decoded frame carries its source's picture type, which x264 would take as an order.
            picture.pict_type = av.video.frame.PictureType.NONE
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return buffer.getvalue()
