"""Decodes one stream of a file, on the line of media time. The input is hostile: runs in the reader's child process only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import av

from stream.domain.modality import Modality
from stream.media.container import only, open_media, packets
from stream.media.media_info import Problem
from stream.media.probe import SegmentProbe
from stream.media.reading import StreamReading
from stream.media.timeline import Part, StreamTimes

NEW_PARAMETERS = "new_extradata"
"""FFmpeg's name of what a packet brings when the parameters of its codec change."""

KEY_FRAME_DELAY = 2
"""Packets that may lie between the step of MPEG-TS's count and the key frame after a splice: FFmpeg's parsers look ahead."""


def decoded(path: str, segments: Sequence[SegmentProbe], reading: StreamReading, on_packet: Callable[[], None] | None) -> Iterator[Any]:
    """The frames of one stream; their times are media times.

    Packets that cannot be decoded are skipped: the rest of the recording is still worth sending.

    Args:
        path: The file.
        segments: The files that it was joined of.
        reading: The stream, and the account of it.
        on_packet: Called for each packet.
    """
    for segment in segments:
        index, times = segment.indices.get(reading.stream.index), segment.times.get(reading.stream.index)
        if index is not None and times is not None:
            with open_media(path, segment.segment) as container:
                yield from _decoded(container, container.streams[index], times, reading, on_packet)


def _decoded(
    container: Any, stream: Any, times: StreamTimes, reading: StreamReading, on_packet: Callable[[], None] | None
) -> Iterator[Any]:
    # FFmpeg would start a thread for each core; their stacks use up the address space that the process is limited to.
    stream.codec_context.thread_count = 1
    if reading.stream.modality is Modality.VIDEO:
        reading.frame_rate = float(stream.average_rate or 0)
    parts = _PartFinder(times.parts)
    losses = _LostPictures(reading)
    decoder = stream.codec_context
    only(container, frozenset({stream.index}))
    for packet in packets(container, on_packet, lambda: reading.note(Problem.DAMAGED)):
        parts.move(packet)
        losses.look_at(packet)
        if reading.stream.modality is Modality.AUDIO and packet.has_sidedata(NEW_PARAMETERS):
            # An MP4 track may have several descriptions of its samples. Decoders of pictures follow them by themselves.
            yield from _frames(decoder, _last_packet(stream), reading)
            decoder = _decoder(stream, bytes(packet.get_sidedata(NEW_PARAMETERS)))
        yield from _frames(decoder, packet, reading)
    yield from _frames(decoder, _last_packet(stream), reading)


def _decoder(stream: Any, parameters: bytes) -> Any:
    """A new decoder of the same codec."""
    decoder = av.CodecContext.create(stream.codec_context.codec.name, "r")
    decoder.extradata = parameters
    decoder.thread_count = 1
    return decoder


def _last_packet(stream: Any) -> Any:
    """A packet without content, for which a decoder gives out what it still holds."""
    packet = av.Packet(0)
    # Without it, the last frames would have no times.
    packet.time_base = stream.time_base
    return packet


def _frames(decoder: Any, packet: Any, reading: StreamReading) -> Iterator[Any]:
    try:
        yield from decoder.decode(packet)
    except (av.FFmpegError, ValueError, EOFError):
        reading.not_decoded(float(packet.duration * packet.time_base) * 1000 if packet.duration else 0.0)


class _LostPictures:
    """Notices where MPEG-TS packets of a picture are missing: decoders only smear the picture.

    MPEG-TS counts its packets. A step of the count is a loss, or a splice, which loses nothing. A splice comes before a key frame. Missing
    sound is noticed by its decoder.
    """

    def __init__(self, reading: StreamReading) -> None:
        self._reading = reading
        self._is_video = reading.stream.modality is Modality.VIDEO
        self._since_step: int | None = None
        """Packets since the step; None when there was none, or when a key frame followed."""

    def look_at(self, packet: Any) -> None:
        """Look at the next packet."""
        if not self._is_video:
            return
        if packet.is_keyframe:
            self._since_step = None
        elif self._since_step is not None:
            self._since_step += 1
            if self._since_step > KEY_FRAME_DELAY:
                self._reading.note(Problem.DAMAGED)
                self._since_step = None
        if packet.is_corrupt and self._since_step is None:
            self._since_step = 0


class _PartFinder:
    """Moves packets to media time, one after the other."""

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self._parts = parts
        self._at = 0
        self._number = 0
        self._ticks: int | None = None
        """The offset of the part in units of the stream's clock."""

    def move(self, packet: Any) -> None:
        """Give the next packet its media times."""
        while self._at + 1 < len(self._parts) and self._parts[self._at + 1].first_packet <= self._number:
            self._at, self._ticks = self._at + 1, None
        self._number += 1
        if self._ticks is None:
            self._ticks = round(self._parts[self._at].offset_s / packet.time_base)
        if packet.pts is not None:
            packet.pts += self._ticks
        if packet.dts is not None:
            packet.dts += self._ticks
