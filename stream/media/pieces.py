"""Cuts a media file's streams into pieces of at most a second, each the payload of a chunk. Runs in the reader's child process only."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

import av
import numpy as np
import numpy.typing as npt

from stream.domain.media_format import MAX_CHUNK_BYTES, MAX_CHUNK_MS, SAMPLE_RATE
from stream.media.decode import upright
from stream.media.downmix import Downmix, Levels, Planes
from stream.media.media_info import Problem
from stream.media.pcm import Samples
from stream.media.reading import StreamReading
from stream.media.timeline import MAX_SILENCE_S

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

UNSAFE_PLANES = 8
"""Planes from which PyAV cannot be trusted with a frame."""

MAX_LAYOUT_CHANNELS = 8
"""7.1 surround sound: what has more is a mixing desk, a conference bridge or a microphone array."""

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
    converter: _Converter | None = None
    for frame in frames:
        parameters = _parameters(frame)
        if converter is None or converter.parameters != parameters:
            if converter is not None:
                reading.note(Problem.PARAMETERS_CHANGED)
                yield from cutter.add(converter.flush())
            converter = _Converter(parameters, tuple(sources), reading, known_levels if converter is None else None)
        if reading.times.has_clock and has_time(frame):
            gap_s = frame.time - cutter.reached_s - converter.delay_s
            if gap_s > MAX_SILENCE_S:
                yield from cutter.add(converter.flush())
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
        yield from cutter.add(converter.flush())
    yield from cutter.finish(length_ms)


_Parameters = tuple[int, str, tuple[str, ...]]
"""Samples a second, layout, and names of the channels."""


def _parameters(frame: Any) -> _Parameters:
    return frame.sample_rate, frame.layout.name, tuple(channel.name for channel in frame.layout.channels)


class _Converter:
    """Takes the sounds to read from frames of equal parameters, at 16 kHz."""

    def __init__(self, parameters: _Parameters, sources: Sequence[int | None], reading: StreamReading, known_levels: Levels | None) -> None:
        self.parameters = parameters
        self._rate, layout, channels = parameters
        self._sources = sources
        self._reading = reading
        self._downmix = Downmix(layout, channels, self._rate, known_levels)
        self._resamplers = [av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE) for _ in sources]
        self._taken = self._given = 0

    @property
    def delay_s(self) -> float:
        """Time of the samples that were taken in and not yet given out."""
        return self._taken / self._rate - self._given / SAMPLE_RATE

    def convert(self, frame: Any) -> Samples:
        """(sources, n) int16 samples."""
        planes = sound_planes(frame)
        self._taken += planes.shape[1]
        return self._resampled([self._mono_frame(self._sound(planes, source)) for source in self._sources])

    def flush(self) -> Samples:
        """The few samples that the filter still holds."""
        samples = self._resampled([None] * len(self._sources))
        for problem in self._downmix.problems if None in self._sources else ():
            self._reading.note(problem)
        self._resamplers = [av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE) for _ in self._sources]
        self._taken = self._given = 0
        return samples

    def _sound(self, planes: Planes, source: int | None) -> npt.NDArray[np.float32]:
        if source is None:
            if planes.shape[0] > MAX_LAYOUT_CHANNELS:
                self._reading.note(Problem.TOO_MANY_CHANNELS)
            return self._downmix.mix(planes)
        if source < planes.shape[0]:
            sound: npt.NDArray[np.float32] = planes[source]
            return sound
        # A stream that has fewer channels from here on: nobody knows whose sound the remaining ones are.
        self._reading.note(Problem.CHANNEL_ENDED)
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
    return np.nan_to_num(scaled, posinf=1.0, neginf=-1.0)


@lru_cache(maxsize=1)
def _interleaver(format_name: str, layout: str, rate: int) -> Any:
    """A converter for frames of this format: each format needs one of its own."""
    return av.AudioResampler(format="flt", layout=layout, rate=rate)


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
        frame_s = (pending[-1][0] - pending[0][0]) / (len(pending) - 1) if len(pending) > 1 else 1 / MAX_FPS
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
