"""Cuts a media file's picture into seconds of H.264. Runs in the reader's child process only."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
from av.video.reformatter import ColorRange

from stream.domain.media_format import MAX_CHUNK_BYTES, MAX_CHUNK_MS
from stream.media.media_info import Problem
from stream.media.picture import upright
from stream.media.pieces import Piece
from stream.media.quality import VideoQuality
from stream.media.reading import StreamReading
from stream.media.sound import has_time
from stream.media.timeline import MAX_PACKET_S

COARSER = (0, 7, 14, 21, 28)
"""Added to the rate factor one after the other until a second fits into a chunk; 51 is x264's worst factor."""

FALLBACK_FPS = 25
"""Rate of a film whose container does not state one."""

_CLOCK_RATE = 90_000
"""MPEG's usual clock: the frame times of all common rates are whole numbers of its ticks."""

_ROUNDING_TICKS = _CLOCK_RATE // 500
"""Containers that round to milliseconds put frames of a 30 fps film 33 or 34 ms apart; without it every third frame would be dropped."""


@dataclass(slots=True)
class _Second:
    """The pictures of one second of media time that are kept, and the times of all of them.

    Time is divided into slots of the wanted rate, counted from the second's first picture, and the first picture of each slot is kept:
    workers choose in the same way, so they look at the same pictures of a thinned film as of the whole.
    """

    quality: VideoQuality
    first_s: float
    last_s: float = 0.0
    count: int = 0
    kept: list[tuple[int, Any]] = field(default_factory=list)
    """Times from the first picture, in ticks of `_CLOCK_RATE`, and pictures."""
    _next_slot: int = 0

    @property
    def start_ms(self) -> int:
        """Start of the second that the first picture is in. Rounded to milliseconds first, as chunks are: 0.9999 s is in second 1."""
        return round(self.first_s * 1000) // MAX_CHUNK_MS * MAX_CHUNK_MS

    def holds(self, time_s: float) -> bool:
        """A picture of this time belongs to this second."""
        return round(time_s * 1000) // MAX_CHUNK_MS * MAX_CHUNK_MS == self.start_ms

    def add(self, time_s: float, frame: Any) -> None:
        """Add a picture; times do not decrease. Raises what FFmpeg raises if it cannot be scaled."""
        self.last_s, self.count = time_s, self.count + 1
        ticks, rate = round((time_s - self.first_s) * _CLOCK_RATE), self.quality.frame_rate
        slot = (ticks + _ROUNDING_TICKS) * rate // _CLOCK_RATE
        # The next second's first picture, if it came a little early, is in this one by its time, and after all of its slots.
        if self._next_slot <= slot < rate * MAX_CHUNK_MS // 1000:
            self._next_slot = slot + 1
            # What came a little early by rounding gets the time of its slot.
            self.kept.append((max(ticks, slot * _CLOCK_RATE // rate), _scaled(frame, self.quality.longer_side)))

    def end_ms(self, alone_s: float) -> int:
        """End of the last picture, which is shown as long as those before it on average, and for `alone_s` if it is the only one."""
        shown_s = (self.last_s - self.first_s) / (self.count - 1) if self.count > 1 else alone_s
        return min(round((self.last_s + shown_s) * 1000), self.start_ms + MAX_CHUNK_MS)


def film_pieces(frames: Iterable[Any], reading: StreamReading, quality: VideoQuality) -> Iterator[Piece]:
    """Seconds of H.264 in fragmented MP4. Each begins with an initialisation segment and a key frame, so it decodes by itself.

    The same frames always give the same bytes.

    Args:
        frames: Decoded frames with media times.
        reading: The stream, and the account of it.
        quality: Size and rate of the pictures.
    """
    second: _Second | None = None
    last_s = -1.0
    size: tuple[int, int] | None = None
    for time_s, frame in _timed(frames, reading):
        if size is not None and size != (frame.width, frame.height):
            reading.note(Problem.PARAMETERS_CHANGED)
        size = frame.width, frame.height
        if time_s < last_s:
            continue
        last_s = time_s
        if second is not None and not second.holds(time_s):
            yield from _piece(second, second.start_ms + MAX_CHUNK_MS, reading)
            second = None
        second = second or _Second(quality, time_s)
        try:
            second.add(time_s, frame)
        except (av.FFmpegError, ValueError):
            reading.note(Problem.DAMAGED)
            # Without a first picture there is no second yet: a chunk begins with its first picture.
            second = second if second.kept else None
    if second is not None:
        yield from _piece(second, second.end_ms(1 / (reading.frame_rate or FALLBACK_FPS)), reading)


def _timed(frames: Iterable[Any], reading: StreamReading) -> Iterator[tuple[float, Any]]:
    """Frames with their media times; a frame without a time follows the one before it at the stream's rate."""
    next_s = 0.0
    for frame in frames:
        time_s = max(0.0, frame.time) if reading.times.has_clock and has_time(frame) else next_s
        next_s = time_s + 1 / (reading.frame_rate or FALLBACK_FPS)
        stated_s = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
        reading.shown_until_ms = max(reading.shown_until_ms, round(max(next_s, time_s + min(stated_s, MAX_PACKET_S)) * 1000))
        yield time_s, frame


def _scaled(frame: Any, longer_side: int) -> Any:
    """The frame as yuv420p, upright and not enlarged. Its sides are even: yuv420p stores colour for 2x2 pixels."""
    scale = min(1.0, longer_side / max(frame.width, frame.height))
    width, height = (max(2, min(side // 2, round(side * scale / 2)) * 2) for side in (frame.width, frame.height))
    # Cameras of JPEG pictures use the full range of brightness; what is sent says nothing of a range, which means the limited one.
    small = frame.reformat(width=width, height=height, format="yuv420p", dst_color_range=ColorRange.MPEG)
    if not frame.rotation:
        return small
    turned = upright(small.to_ndarray(format="rgb24"), frame.rotation)
    return av.VideoFrame.from_ndarray(turned, format="rgb24").reformat(format="yuv420p")


def _piece(second: _Second, end_ms: int, reading: StreamReading) -> Iterator[Piece]:
    """The pictures as one piece, or none when they cannot be encoded or fit into no chunk at any quality. A piece lasts at least 1 ms."""
    start_ms = min(round(second.first_s * 1000), end_ms - 1)
    for coarser in COARSER:
        rate_factor = min(51, second.quality.rate_factor + coarser)
        try:
            payload = _encode(second.kept, second.quality.frame_rate, rate_factor)
        except (av.FFmpegError, ValueError):
            break
        if len(payload) <= MAX_CHUNK_BYTES:
            reading.sent(start_ms, end_ms)
            yield Piece("video", None, start_ms, end_ms - start_ms, payload)
            return
    reading.note(Problem.DAMAGED)


def _encode(frames: list[tuple[int, Any]], frame_rate: int, rate_factor: int) -> bytes:
    """H.264 in fragmented MP4: its index comes first, so a reader need not seek."""
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="mp4", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}) as output:
        stream: Any = output.add_stream("libx264", rate=frame_rate)
        stream.width, stream.height, stream.pix_fmt = frames[0][1].width, frames[0][1].height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, _CLOCK_RATE)
        # One group of pictures: no key frame but the first.
        stream.codec_context.gop_size = len(frames) + 1
        stream.codec_context.thread_count = 1
        # Slower presets save a quarter of the bytes at most, and cost the worker that decodes them half as much time again. Without
        # frames that refer to later ones, times begin at 0.
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": str(rate_factor)}
        for ticks, frame in frames:
            # A film may change its size within a second, an encoded stream may not.
            same_size = frame.width == stream.width and frame.height == stream.height
            picture = frame if same_size else frame.reformat(width=stream.width, height=stream.height)
            picture.pts, picture.time_base = ticks, Fraction(1, _CLOCK_RATE)
            # A decoded frame carries its source's picture type, which x264 would take as an order.
            picture.pict_type = av.video.frame.PictureType.NONE
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return buffer.getvalue()
