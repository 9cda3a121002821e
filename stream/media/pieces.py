"""A media file's streams → pieces of at most a second, each of them a chunk's payload. Runs in the reader's child process only."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np

from stream.domain.media_format import MAX_CHUNK_BYTES, SAMPLE_RATE
from stream.media.decode import upright
from stream.media.pcm import Samples

PIECE_MS = 1000
MAX_WIDTH = 640
FASTEST_FPS = 30
QUALITIES = (23, 30, 37, 44, 51)
"""x264 constant rate factors, best first: the first that keeps a second under the chunk limit is used."""
GAP_S = 0.1
LONGEST_GAP_S = 600.0
"""Jumps of the audio clock between these are filled with silence; larger ones are broken clocks and are ignored."""
PADDING_MS = 100
"""So much sound after the file's end is taken for padding."""
_CLOCK_RATE = 90_000


@dataclass(frozen=True, slots=True)
class Piece:
    """At most a second of one stream; `channel` is None for video and for mixed audio."""

    modality: Literal["audio", "video"]
    channel: int | None
    start_ms: int
    duration_ms: int
    payload: bytes


def audio_pieces(
    container: Any, index: int, origin_s: float, *, length_ms: int | None, split: bool, damaged: Callable[[], None]
) -> Iterator[Piece]:
    """Seconds of s16le 16 kHz PCM.

    Args:
        container: Open input; closed at the end.
        index: The stream's index in it.
        origin_s: Container time that is media time 0.
        length_ms: The file's duration, if known: codecs pad their last frame beyond it.
        split: One piece for each channel instead of one of their mix.
        damaged: Called when some of the stream cannot be decoded.
    """
    waiting = np.empty((0, 0), np.int16)
    start_ms = 0
    for samples in _audio(container, index, origin_s, split, damaged):
        waiting = np.concatenate([waiting, samples], axis=1) if waiting.size else samples
        while waiting.shape[1] >= SAMPLE_RATE:
            yield from _pcm(waiting[:, :SAMPLE_RATE], start_ms, split)
            waiting, start_ms = waiting[:, SAMPLE_RATE:], start_ms + PIECE_MS
    if length_ms is not None and 0 < start_ms + waiting.shape[1] * 1000 // SAMPLE_RATE - length_ms <= PADDING_MS:
        waiting = waiting[:, : max(0, length_ms - start_ms) * SAMPLE_RATE // 1000]
    if waiting.size:
        yield from _pcm(waiting, start_ms, split)


def _pcm(samples: Samples, start_ms: int, split: bool) -> Iterator[Piece]:
    duration_ms = -(-samples.shape[1] * 1000 // SAMPLE_RATE)
    for channel, line in enumerate(samples):
        yield Piece("audio", channel if split else None, start_ms, duration_ms, line.astype("<i2").tobytes())


def _audio(container: Any, index: int, origin_s: float, split: bool, damaged: Callable[[], None]) -> Iterator[Samples]:
    """(channels, n) int16 arrays without gaps, from media time 0 on."""
    resampler: Any = None
    layout: Any = None
    expected_s = origin_s
    for frame in _decoded(container, index, damaged):
        if resampler is None:
            layout = frame.layout.name if split else "mono"
            resampler = av.AudioResampler(format="s16p", layout=layout, rate=SAMPLE_RATE)
        gap_s = (frame.time if frame.time is not None else expected_s) - expected_s
        if GAP_S < gap_s < LONGEST_GAP_S:
            yield np.zeros((resampler.layout.nb_channels, round(gap_s * SAMPLE_RATE)), np.int16)
            expected_s += gap_s
        expected_s += frame.samples / frame.sample_rate
        frame.pts = None
        for piece in resampler.resample(frame):
            yield piece.to_ndarray()
    if resampler is not None:
        for piece in resampler.resample(None):
            yield piece.to_ndarray()


def video_pieces(container: Any, index: int, origin_s: float, damaged: Callable[[], None]) -> Iterator[Piece]:
    """Seconds of H.264 in fragmented MP4, each of which decodes by itself: initialisation segment and key frame first.

    Args:
        container: Open input; closed at the end.
        index: The stream's index in it.
        origin_s: Container time that is media time 0.
        damaged: Called when some of the stream cannot be decoded.
    """
    second: list[tuple[float, Any]] = []
    last_s = -1.0
    for time_s, frame in _timed_frames(container, index, origin_s, damaged):
        if time_s < last_s + 1 / FASTEST_FPS - 0.002:
            continue
        last_s = time_s
        if second and _second_of(time_s) != _second_of(second[0][0]):
            yield from _film(second, (_second_of(second[0][0]) + 1) * PIECE_MS, damaged)
            second = []
        second.append((time_s, _scaled(frame)))
    if second:
        frame_s = (second[-1][0] - second[0][0]) / (len(second) - 1) if len(second) > 1 else 1 / FASTEST_FPS
        end_ms = min(round((second[-1][0] + frame_s) * 1000), (_second_of(second[0][0]) + 1) * PIECE_MS)
        yield from _film(second, end_ms, damaged)


def _second_of(time_s: float) -> int:
    return int(round(time_s * 1000) // PIECE_MS)


def _timed_frames(container: Any, index: int, origin_s: float, damaged: Callable[[], None]) -> Iterator[tuple[float, Any]]:
    rate = float(container.streams[index].average_rate or 25)
    next_s = 0.0
    for frame in _decoded(container, index, damaged):
        time_s = max(0.0, frame.time - origin_s) if frame.time is not None else next_s
        next_s = time_s + 1 / rate
        yield time_s, frame


def _decoded(container: Any, index: int, damaged: Callable[[], None]) -> Iterator[Any]:
    """Frames of one stream; packets that cannot be decoded are left out."""
    stream = container.streams[index]
    stream.codec_context.thread_count = 1
    with container:
        try:
            for packet in container.demux(stream):
                if packet.is_corrupt:
                    damaged()
                try:
                    yield from packet.decode()
                except av.FFmpegError:
                    damaged()
        except av.FFmpegError:
            damaged()


def _scaled(frame: Any) -> Any:
    """The frame as yuv420p, upright, at most `MAX_WIDTH` wide, with even sides."""
    if frame.rotation:
        frame = av.VideoFrame.from_ndarray(upright(frame.to_ndarray(format="rgb24"), frame.rotation), format="rgb24")
    width = min(MAX_WIDTH, frame.width) // 2 * 2
    height = max(2, round(frame.height * width / frame.width / 2) * 2)
    return frame.reformat(width=max(2, width), height=height, format="yuv420p")


def _film(frames: list[tuple[float, Any]], end_ms: int, damaged: Callable[[], None]) -> Iterator[Piece]:
    start_ms = min(round(frames[0][0] * 1000), end_ms - 1)
    for quality in QUALITIES:
        payload = _encode(frames, quality)
        if len(payload) <= MAX_CHUNK_BYTES:
            yield Piece("video", None, start_ms, end_ms - start_ms, payload)
            return
    damaged()


def _encode(frames: list[tuple[float, Any]], quality: int) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="mp4", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}) as output:
        stream: Any = output.add_stream("libx264", rate=FASTEST_FPS)
        stream.width, stream.height, stream.pix_fmt = frames[0][1].width, frames[0][1].height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, _CLOCK_RATE)
        stream.codec_context.gop_size = len(frames) + 1
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": str(quality)}
        for time_s, frame in frames:
            same = frame.width == stream.width and frame.height == stream.height
            picture = frame if same else frame.reformat(width=stream.width, height=stream.height)
            picture.pts, picture.time_base = round((time_s - frames[0][0]) * _CLOCK_RATE), Fraction(1, _CLOCK_RATE)
            picture.pict_type = av.video.frame.PictureType.NONE
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return buffer.getvalue()
