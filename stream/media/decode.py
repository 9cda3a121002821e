"""From containers and pictures to samples and grey frames. The input is hostile: runs in the decoder's child process only."""

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

Picture = npt.NDArray[np.uint8]
"""(h, w) grey or (h, w, 3) colour."""

MAX_FRAMES = 150
"""Frames of a chunk, sampled or not: `MAX_DECODED_MS` of film at 125 frames a second. It bounds the work in thousands of tiny frames."""

MAX_CHANNELS = 8
"""As many as AAC and Opus define: 7.1 surround sound."""

SAMPLE_RATES = range(8_000, 96_001)
"""From telephone to studio; the memory of the resampler grows with the ratio of the rates."""

_DEMUXER = {ContentType.OGG_OPUS: "ogg", ContentType.AUDIO_MP4: "mp4", ContentType.VIDEO_MP4: "mp4"}
_CODECS = {ContentType.OGG_OPUS: ("opus",), ContentType.AUDIO_MP4: ("aac", "opus"), ContentType.VIDEO_MP4: ("h264",)}


def decode_audio(payload: bytes, content_type: str) -> Samples:
    """Decode Opus or AAC in a container to (n,) int16, 16 kHz mono. Raises `MediaError`."""
    check_type(payload, content_type)
    try:
        with _open(payload, content_type) as container:
            stream = _first_stream(container.streams.audio, content_type)
            context = stream.codec_context
            if not 1 <= context.channels <= MAX_CHANNELS or context.sample_rate not in SAMPLE_RATES:
                raise MediaError("unsupported")
            samples = np.concatenate(list(_resampled(container, stream)) or [np.empty(0, np.int16)])
    except (av.FFmpegError, ValueError, EOFError):
        raise MediaError("bad_media") from None
    if not samples.size:
        raise MediaError("no_media")
    return samples


def sample_frames(payload: bytes, content_type: str, frames_per_second: int, max_pixels: int) -> Iterator[tuple[int, Picture]]:
    """Grey frames, at most `frames_per_second` for each second, with their times in ms from the first frame.

    Args:
        payload: One JPEG, or H.264 in MP4 that begins with a key frame.
        content_type: The declared type.
        frames_per_second: Time is divided into slots of this rate; the first frame of each slot is taken.
        max_pixels: Larger pictures are refused before they are decoded.

    Raises:
        MediaError: At any time while iterating; the frames yielded before the error should not be used.
    """
    check_type(payload, content_type)
    if content_type == ContentType.JPEG:
        yield 0, _decode_jpeg(payload, max_pixels)
        return
    try:
        with _open(payload, content_type) as container:
            stream = _first_stream(container.streams.video, content_type)
            context = stream.codec_context
            if not 0 < context.width * context.height <= max_pixels:
                raise MediaError("too_large" if context.width * context.height else "bad_media")
            next_slot = 0
            for time_ms, frame in _timed_frames(container, stream):
                # A stream may change its size: the container's header speaks for the first frame only.
                if frame.width * frame.height > max_pixels:
                    raise MediaError("too_large")
                # In whole numbers: with sums of 1000 / frames_per_second, rounding would skip a frame now and then.
                if time_ms * frames_per_second >= next_slot * 1000:
                    next_slot = time_ms * frames_per_second // 1000 + 1
                    yield time_ms, upright(frame.to_ndarray(format="gray"), frame.rotation)
            if not next_slot:
                raise MediaError("no_media")
    except (av.FFmpegError, ValueError, EOFError):
        raise MediaError("bad_media") from None


def upright(picture: Picture, rotation: int) -> Picture:
    """Turn a picture by the container's display matrix: phones film sideways and leave the turning to the player.

    Args:
        picture: The decoded picture.
        rotation: Degrees, counter-clockwise. Only quarter turns are applied.
    """
    return np.ascontiguousarray(np.rot90(picture, rotation // 90)) if rotation % 90 == 0 and rotation else picture


def _open(payload: bytes, content_type: str) -> Any:
    # The demuxer is named, so that FFmpeg cannot guess another one from the bytes. Only the codecs that a chunk may have are open to
    # attack. `enable_drefs` would let an MP4 refer to other files of this machine.
    options = {"codec_whitelist": ",".join(_CODECS[content_type]), "enable_drefs": "0"}
    return av.open(io.BytesIO(payload), mode="r", format=_DEMUXER[content_type], options=options)


def _first_stream(streams: Any, content_type: str) -> Any:
    """The first stream of a modality, set up for decoding."""
    if not streams:
        raise MediaError("no_media")
    stream = streams[0]
    if stream.codec_context is None or stream.codec_context.codec.canonical_name not in _CODECS[content_type]:
        raise MediaError("unsupported")
    # FFmpeg would start a thread for each core; their stacks use up the address space that the process is limited to.
    stream.codec_context.thread_count = 1
    # By default decoders conceal errors: damaged media would come out as smeared pictures, in which false faces are found.
    stream.codec_context.options = {"err_detect": "explode"}
    return stream


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise MediaError("bad_media")
        yield packet


def _resampled(container: Any, stream: Any) -> Iterator[Samples]:
    """Pieces of 16 kHz mono. The length is checked while decoding: a chunk of Opus can hold hours of silence."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    total = 0
    for packet in _packets(container, stream):
        for frame in packet.decode():
            for resampled in resampler.resample(frame):
                total += resampled.samples
                if total > MAX_DECODED_MS * SAMPLE_RATE // 1000:
                    raise MediaError("too_long")
                yield resampled.to_ndarray().reshape(-1).astype(np.int16, copy=False)
    # Without an input the resampler gives out the few samples that its filter still holds.
    for resampled in resampler.resample(None):
        yield resampled.to_ndarray().reshape(-1).astype(np.int16, copy=False)


def _timed_frames(container: Any, stream: Any) -> Iterator[tuple[int, Any]]:
    """Frames with their times in ms from the first frame.

    A chunk's media time stands in its record; its container's clock may start at any time.
    """
    first_s: float | None = None
    count = 0
    for packet in _packets(container, stream):
        for frame in packet.decode():
            count += 1
            if count > MAX_FRAMES:
                raise MediaError("too_large")
            if frame.time is None or frame.is_corrupt:
                raise MediaError("bad_media")
            first_s = frame.time if first_s is None else first_s
            time_ms = round((frame.time - first_s) * 1000)
            if not 0 <= time_ms <= MAX_DECODED_MS:
                raise MediaError("too_long")
            yield time_ms, frame


def _decode_jpeg(payload: bytes, max_pixels: int) -> Picture:
    # The size comes from the markers: decoding first would allocate the memory for whatever size the header claims.
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
