"""From containers and pictures to samples and grey frames. The input is hostile: runs in the decoder's child process only."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np

from stream.domain.chunk import ContentType
from stream.domain.media_format import MAX_DECODED_MS, SAMPLE_RATE
from stream.media.errors import MediaError
from stream.media.pcm import Samples
from stream.media.picture import Picture, grey, upright
from stream.media.sniff import check_type, jpeg_size

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
            # Strictly, frames come out in order even where the stream does not say how far it reorders them: FFmpeg would guess from
            # the first frames, and lose some.
            stream = _first_stream(container.streams.video, content_type, strict="strict", max_pixels=str(_coded_pixels(max_pixels)))
            # The header may lie or say nothing: the decoder has its own limit, and each frame is measured.
            if stream.codec_context.width * stream.codec_context.height > max_pixels:
                raise MediaError("too_large")
            packets = _film_packets(container, stream, len(payload))
            yield from _sampled(stream, packets, frames_per_second, max_pixels)
    except (av.FFmpegError, ValueError, EOFError):
        raise MediaError("bad_media") from None


def _open(payload: bytes, content_type: str) -> Any:
    # The demuxer is named, so that FFmpeg cannot guess another one from the bytes. No codec is on the list: FFmpeg would decode the
    # first frame only to learn what the header says, which costs as much as five small frames. `enable_drefs` would let an MP4 refer
    # to other files of this machine.
    options = {"codec_whitelist": "none", "probesize": "32", "enable_drefs": "0"}
    return av.open(io.BytesIO(payload), mode="r", format=_DEMUXER[content_type], options=options)


def _first_stream(streams: Any, content_type: str, **options: str) -> Any:
    """The first stream of a modality, set up for decoding. Only the codecs that a chunk may have are open to attack."""
    if not streams:
        raise MediaError("no_media")
    stream = streams[0]
    if stream.codec_context is None or stream.codec_context.codec.canonical_name not in _CODECS[content_type]:
        raise MediaError("unsupported")
    # FFmpeg would start a thread for each core; their stacks use up the address space that the process is limited to.
    stream.codec_context.thread_count = 1
    # By default decoders conceal errors: damaged media would come out as smeared pictures, in which false faces are found.
    stream.codec_context.options = {"err_detect": "explode", "codec_whitelist": ",".join(_CODECS[content_type]), **options}
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
            # Only the frame knows: a header of HE-AAC states half of its rate.
            if not 1 <= frame.layout.nb_channels <= MAX_CHANNELS or frame.sample_rate not in SAMPLE_RATES:
                raise MediaError("unsupported")
            for resampled in resampler.resample(frame):
                total += resampled.samples
                if total > MAX_DECODED_MS * SAMPLE_RATE // 1000:
                    raise MediaError("too_long")
                yield _samples(resampled)
    # Without an input the resampler gives out the few samples that its filter still holds.
    for resampled in resampler.resample(None):
        yield _samples(resampled)


def _samples(frame: Any) -> Samples:
    # The plane is padded.
    return np.frombuffer(frame.planes[0], np.int16, frame.samples)


@dataclass(slots=True)
class _Slots:
    """Divides time into slots and takes the first frame of each."""

    per_second: int
    _next: int = 0

    def takes(self, time_ms: int) -> bool:
        """Whether the next frame, in order of time, is the first of its slot."""
        # In whole numbers: with sums of 1000 / per_second, rounding would skip a frame now and then.
        if time_ms * self.per_second < self._next * 1000:
            return False
        self._next = time_ms * self.per_second // 1000 + 1
        return True


def _film_packets(container: Any, stream: Any, chunk_bytes: int) -> list[Any]:
    """All frames of a chunk, still coded, in the order of decoding. Damage of the container is found here, to the chunk's last byte."""
    packets: list[Any] = []
    for packet in _packets(container, stream):
        # The last one is empty: it stands for the end.
        if not packet.size:
            continue
        if len(packets) == MAX_FRAMES:
            raise MediaError("too_large")
        # Frames may refer to the same bytes: a chunk must not hold more than its size, nor be decoded again and again.
        chunk_bytes -= packet.size
        if chunk_bytes < 0:
            raise MediaError("bad_media")
        packets.append(packet)
    return packets


def _sampled(stream: Any, packets: Sequence[Any], frames_per_second: int, max_pixels: int) -> Iterator[tuple[int, Picture]]:
    """The first frame of each slot, with its time in ms from the first frame.

    The packets' times tell which frames these are. Nothing after the last of them is decoded, nor are frames before it to which no
    other frame refers. A chunk's media time stands in its record; its container's clock may start at any time.
    """
    context, time_base = stream.codec_context, stream.time_base
    times = sorted(_time(packet) for packet in packets if not packet.is_discard)
    if not times:
        raise MediaError("no_media")
    if _ms(times[-1] - times[0], time_base) > MAX_DECODED_MS:
        raise MediaError("too_long")
    plan = _Slots(frames_per_second)
    wanted = {time for time in times if plan.takes(_ms(time - times[0], time_base))}
    last = max(number for number, packet in enumerate(packets) if _time(packet) in wanted)
    slots = _Slots(frames_per_second)
    first: int | None = None
    for frame in _decoded(context, packets[: last + 1], wanted):
        # A stream may change its size.
        if frame.width * frame.height > max_pixels:
            raise MediaError("too_large")
        if frame.pts is None or frame.is_corrupt:
            raise MediaError("bad_media")
        first = frame.pts if first is None else first
        time_ms = _ms(frame.pts - first, time_base)
        if not 0 <= time_ms <= MAX_DECODED_MS:
            raise MediaError("too_long")
        if slots.takes(time_ms):
            yield time_ms, upright(grey(frame), frame.rotation)
    if first is None:
        raise MediaError("no_media")


def _decoded(context: Any, packets: Sequence[Any], wanted: Set[int]) -> Iterator[Any]:
    for packet in packets:
        context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
        yield from packet.decode()
    # The decoder still holds the frames that it reorders.
    yield from context.decode(None)


def _time(packet: Any) -> int:
    if packet.pts is None:
        raise MediaError("bad_media")
    return int(packet.pts)


def _ms(ticks: int, time_base: Fraction) -> int:
    return round(ticks * 1000 * time_base.numerator / time_base.denominator)


def _coded_pixels(pixels: int) -> int:
    """Most pixels that a picture has inside the decoder, which codes whole blocks of 16x16."""
    return max(2 * pixels, 1 << 20)


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
