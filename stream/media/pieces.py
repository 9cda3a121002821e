"""Cuts a media file's streams into pieces of at most a second, each the payload of a chunk. Runs in the reader's child process only."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np

from stream.domain.media_format import MAX_CHUNK_BYTES, MAX_CHUNK_MS, SAMPLE_RATE
from stream.media.decode import upright
from stream.media.media_info import Problem
from stream.media.pcm import Samples
from stream.media.reading import StreamReading

MAX_WIDTH = 640
"""Pictures are scaled down to this width: faces are searched for at half of it, and a second stays well below the chunk limit."""

MAX_FPS = 30
"""Faster films are thinned out: the pipeline looks at a few frames per second only."""

RATE_FACTORS = (23, 30, 37, 44, 51)
"""x264's constant rate factors to try, best quality first, until a second fits into a chunk; 51 is x264's worst."""

MIN_GAP_S = 0.1
"""Smaller jumps of the audio clock are rounding and jitter of the container: filling them would stretch the recording."""

MAX_GAP_S = 600.0
"""Larger jumps of the audio clock are broken clocks, not silence, and are ignored: a file could claim years of silence."""

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
    container: Any, reading: StreamReading, origin_s: float, *, length_ms: int | None, channels: Mapping[int | None, int]
) -> Iterator[Piece]:
    """Seconds of s16le 16 kHz PCM.

    Args:
        container: Open input; closed at the end.
        reading: The stream, and the account of it.
        origin_s: Container time that is media time 0.
        length_ms: The file's duration, if known: codecs pad their last frame beyond it.
        channels: Place in the selection of each channel that is read; None stands for the mix of all channels.
    """
    pending = np.empty((0, 0), np.int16)
    start_ms = 0
    for samples in _resampled(container, reading, origin_s, channels):
        pending = np.concatenate([pending, samples], axis=1) if pending.size else samples
        while pending.shape[1] >= SAMPLE_RATE:
            yield from _pcm_pieces(pending[:, :SAMPLE_RATE], start_ms, reading, channels)
            pending, start_ms = pending[:, SAMPLE_RATE:], start_ms + MAX_CHUNK_MS
    if length_ms is not None and 0 < start_ms + pending.shape[1] * 1000 // SAMPLE_RATE - length_ms <= MAX_PADDING_MS:
        pending = pending[:, : max(0, length_ms - start_ms) * SAMPLE_RATE // 1000]
    if pending.size:
        yield from _pcm_pieces(pending, start_ms, reading, channels)


def _pcm_pieces(samples: Samples, start_ms: int, reading: StreamReading, channels: Mapping[int | None, int]) -> Iterator[Piece]:
    duration_ms = -(-samples.shape[1] * 1000 // SAMPLE_RATE)
    reading.sent_ms += duration_ms
    for place, channel_samples in zip(channels.values(), samples, strict=True):
        yield Piece("audio", place, start_ms, duration_ms, channel_samples.astype("<i2").tobytes())


def _resampled(container: Any, reading: StreamReading, origin_s: float, channels: Mapping[int | None, int]) -> Iterator[Samples]:
    """(sources, n) int16 arrays from media time 0 on; gaps are filled with silence.

    Media time is the number of samples. A stream that begins after the container's origin, or that lacks packets, would otherwise
    run ahead of the picture and the transcript.
    """
    resampler: Any = None
    expected_s = origin_s
    mixed = set(channels) == {None}
    for frame in _decoded(container, reading):
        if resampler is None:
            layout = "mono" if mixed else frame.layout.name
            resampler = av.AudioResampler(format="s16p", layout=layout, rate=SAMPLE_RATE)
        gap_s = (frame.time if frame.time is not None else expected_s) - expected_s
        if MIN_GAP_S < gap_s < MAX_GAP_S:
            yield np.zeros((len(channels), round(gap_s * SAMPLE_RATE)), np.int16)
            expected_s += gap_s
        expected_s += frame.samples / frame.sample_rate
        # Gaps are filled already: without timestamps the resampler appends one frame to the next.
        frame.pts = None
        for resampled in resampler.resample(frame):
            yield _chosen(resampled.to_ndarray(), channels)
    if resampler is not None:
        # Without an input the resampler gives out the few samples that its filter still holds.
        for resampled in resampler.resample(None):
            yield _chosen(resampled.to_ndarray(), channels)


def _chosen(samples: Samples, channels: Mapping[int | None, int]) -> Samples:
    return samples[[channel or 0 for channel in channels]]


def video_pieces(container: Any, reading: StreamReading, origin_s: float) -> Iterator[Piece]:
    """Seconds of H.264 in fragmented MP4. Each begins with an initialisation segment and a key frame, so it decodes by itself.

    Args:
        container: Open input; closed at the end.
        reading: The stream, and the account of it.
        origin_s: Container time that is media time 0.
    """
    frames: list[tuple[float, Any]] = []
    last_s = -1.0
    for time_s, frame in _timed_frames(container, reading, origin_s):
        if time_s < last_s + 1 / MAX_FPS - _FRAME_TIME_TOLERANCE_S:
            continue
        last_s = time_s
        if frames and _second_of(time_s) != _second_of(frames[0][0]):
            yield from _film_pieces(frames, (_second_of(frames[0][0]) + 1) * MAX_CHUNK_MS, reading)
            frames = []
        frames.append((time_s, _scaled(frame)))
    if frames:
        # The last frame is shown as long as the frames before it on average.
        frame_s = (frames[-1][0] - frames[0][0]) / (len(frames) - 1) if len(frames) > 1 else 1 / MAX_FPS
        end_ms = min(round((frames[-1][0] + frame_s) * 1000), (_second_of(frames[0][0]) + 1) * MAX_CHUNK_MS)
        yield from _film_pieces(frames, end_ms, reading)


def _second_of(time_s: float) -> int:
    """Second in which a frame begins. Rounded to milliseconds first, as chunks are: 0.9999 s is the start of second 1."""
    return int(round(time_s * 1000) // MAX_CHUNK_MS)


def _timed_frames(container: Any, reading: StreamReading, origin_s: float) -> Iterator[tuple[float, Any]]:
    """Frames with their media times; a frame without a timestamp follows the one before it at the stream's rate."""
    rate = float(container.streams[reading.stream.index].average_rate or FALLBACK_FPS)
    next_s = 0.0
    for frame in _decoded(container, reading):
        time_s = max(0.0, frame.time - origin_s) if frame.time is not None else next_s
        next_s = time_s + 1 / rate
        yield time_s, frame


def _decoded(container: Any, reading: StreamReading) -> Iterator[Any]:
    """Frames of one stream. Packets that cannot be decoded are skipped: the rest of the recording is still worth sending."""
    stream = container.streams[reading.stream.index]
    # FFmpeg would start a thread for each core; their stacks use up the address space that the process is limited to.
    stream.codec_context.thread_count = 1
    with container:
        try:
            for packet in container.demux(stream):
                if packet.is_corrupt:
                    reading.note(Problem.DAMAGED)
                try:
                    yield from packet.decode()
                except av.FFmpegError:
                    reading.note(Problem.DAMAGED)
        except av.FFmpegError:
            reading.note(Problem.DAMAGED)


def _scaled(frame: Any) -> Any:
    """The frame as yuv420p, upright, at most `MAX_WIDTH` wide. Its sides are even: yuv420p stores colour for 2x2 pixels."""
    if frame.rotation:
        frame = av.VideoFrame.from_ndarray(upright(frame.to_ndarray(format="rgb24"), frame.rotation), format="rgb24")
    width = min(MAX_WIDTH, frame.width) // 2 * 2
    height = max(2, round(frame.height * width / frame.width / 2) * 2)
    return frame.reformat(width=max(2, width), height=height, format="yuv420p")


def _film_pieces(frames: list[tuple[float, Any]], end_ms: int, reading: StreamReading) -> Iterator[Piece]:
    """The frames as one piece, or none when they do not fit into a chunk at any quality. A piece lasts at least 1 ms."""
    start_ms = min(round(frames[0][0] * 1000), end_ms - 1)
    for rate_factor in RATE_FACTORS:
        payload = _encode(frames, rate_factor)
        if len(payload) <= MAX_CHUNK_BYTES:
            reading.sent_ms += end_ms - start_ms
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
