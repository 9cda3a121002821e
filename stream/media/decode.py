"""Containers and pictures → samples and grey frames. Runs in the decoder's child process only: the input is hostile."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from stream.domain.chunk import ContentType
from stream.domain.media_format import MAX_DECODED_MS, SAMPLE_RATE
from stream.media.errors import MediaError
from stream.media.pcm import Samples
from stream.media.sniff import check_type, jpeg_size

Grey = npt.NDArray[np.uint8]

MAX_FRAMES = 150
MAX_CHANNELS = 8
SAMPLE_RATES = range(8_000, 96_001)

_DEMUXER = {ContentType.OGG_OPUS: "ogg", ContentType.AUDIO_MP4: "mp4", ContentType.VIDEO_MP4: "mp4"}
_CODECS = {ContentType.OGG_OPUS: ("opus",), ContentType.AUDIO_MP4: ("aac", "opus"), ContentType.VIDEO_MP4: ("h264",)}


def decode_audio(payload: bytes, content_type: str) -> Samples:
    """Opus or AAC in a container → (n,) int16, 16 kHz mono. Raises `MediaError`."""
    check_type(payload, content_type)
    try:
        with _open(payload, content_type) as container:
            stream = _only(container.streams.audio, content_type)
            context = stream.codec_context
            if not 1 <= context.channels <= MAX_CHANNELS or context.sample_rate not in SAMPLE_RATES:
                raise MediaError("unsupported")
            samples = np.concatenate(list(_resampled(container, stream)) or [np.empty(0, np.int16)])
    except (av.FFmpegError, ValueError, EOFError):
        raise MediaError("bad_media") from None
    if not samples.size:
        raise MediaError("no_media")
    return samples


def sample_frames(payload: bytes, content_type: str, frames_per_second: int, max_pixels: int) -> Iterator[tuple[int, Grey]]:
    """Grey frames, at most `frames_per_second` of them a second, with their times in ms from the first frame.

    Args:
        payload: One JPEG, or H.264 in MP4 that begins with a key frame.
        content_type: The declared type.
        frames_per_second: The first frame at or after each multiple of 1/frames_per_second is taken.
        max_pixels: Larger pictures are refused before they are decoded.

    Raises:
        MediaError: While iterating, too; what was yielded until then should not be used.
    """
    check_type(payload, content_type)
    if content_type == ContentType.JPEG:
        yield 0, _jpeg(payload, max_pixels)
        return
    try:
        with _open(payload, content_type) as container:
            stream = _only(container.streams.video, content_type)
            context = stream.codec_context
            if not 0 < context.width * context.height <= max_pixels:
                raise MediaError("too_large" if context.width * context.height else "bad_media")
            taken = 0
            for time_ms, frame in _frames(container, stream):
                if frame.width * frame.height > max_pixels:
                    raise MediaError("too_large")
                if time_ms * frames_per_second >= taken * 1000:
                    taken = time_ms * frames_per_second // 1000 + 1
                    yield time_ms, upright(frame.to_ndarray(format="gray"), frame.rotation)
            if not taken:
                raise MediaError("no_media")
    except (av.FFmpegError, ValueError, EOFError):
        raise MediaError("bad_media") from None


def upright(picture: Grey, rotation: int) -> Grey:
    """Turn a picture by the container's display matrix (degrees, counter-clockwise; other than quarter turns are left alone)."""
    return np.ascontiguousarray(np.rot90(picture, rotation // 90)) if rotation % 90 == 0 and rotation else picture


def _open(payload: bytes, content_type: str) -> Any:
    options = {"codec_whitelist": ",".join(_CODECS[content_type]), "enable_drefs": "0"}
    return av.open(io.BytesIO(payload), mode="r", format=_DEMUXER[content_type], options=options)


def _only(streams: Any, content_type: str) -> Any:
    if not streams:
        raise MediaError("no_media")
    stream = streams[0]
    if stream.codec_context is None or stream.codec_context.codec.canonical_name not in _CODECS[content_type]:
        raise MediaError("unsupported")
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"err_detect": "explode"}
    return stream


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise MediaError("bad_media")
        yield packet


def _resampled(container: Any, stream: Any) -> Iterator[Samples]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    total = 0
    for packet in _packets(container, stream):
        for frame in packet.decode():
            for piece in resampler.resample(frame):
                total += piece.samples
                if total > MAX_DECODED_MS * SAMPLE_RATE // 1000:
                    raise MediaError("too_long")
                yield piece.to_ndarray().reshape(-1).astype(np.int16, copy=False)
    for piece in resampler.resample(None):
        yield piece.to_ndarray().reshape(-1).astype(np.int16, copy=False)


def _frames(container: Any, stream: Any) -> Iterator[tuple[int, Any]]:
    first: float | None = None
    count = 0
    for packet in _packets(container, stream):
        for frame in packet.decode():
            count += 1
            if count > MAX_FRAMES:
                raise MediaError("too_large")
            if frame.time is None or frame.is_corrupt:
                raise MediaError("bad_media")
            first = frame.time if first is None else first
            time_ms = round((frame.time - first) * 1000)
            if not 0 <= time_ms <= MAX_DECODED_MS:
                raise MediaError("too_long")
            yield time_ms, frame


def _jpeg(payload: bytes, max_pixels: int) -> Grey:
    width, height = jpeg_size(payload)
    if width * height > max_pixels:
        raise MediaError("too_large")
    try:
        picture = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        picture = None
    if picture is None:
        raise MediaError("bad_media")
    return np.asarray(picture, np.uint8)
