"""Takes samples of a stream at places spread over a file: a few seconds of work however long the file is.

The input is hostile: runs in the reader's child process only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import av
import numpy as np

from stream.media.container import only, open_media, packets
from stream.media.downmix import Levels, levels
from stream.media.media_info import StreamInfo
from stream.media.probe import SegmentProbe
from stream.media.sound import has_time, sound_planes
from stream.media.timeline import StreamTimes

WHOLE_MS = 60_000
"""A stream of up to this length is looked at as a whole."""

PLACES = 20
"""Places at which a longer stream is looked at."""

PLACE_S = 2.0
"""Time that is looked at from each place on: somebody who speaks pauses for breath."""

MAX_PLACE_PACKETS = 400
"""Packets that are read at a place: with tiny or broken packets, two seconds would not end."""


def sampled_frames(
    path: str, stream: StreamInfo, segments: Sequence[SegmentProbe], *, whole_ms: int = WHOLE_MS, place_s: float = PLACE_S
) -> Iterator[Any]:
    """Decoded frames of a stream from places spread over it, or all of a short one.

    Args:
        path: The file.
        stream: The stream.
        segments: The files that it was joined of.
        whole_ms: A stream of up to this length is decoded as a whole.
        place_s: Time to decode from each place on.
    """
    having = [segment for segment in segments if stream.index in segment.times]
    length_ms = sum(segment.times[stream.index].end_ms - segment.times[stream.index].start_ms for segment in having)
    # Of many segments, some are looked at.
    having = having[:: -(-len(having) // PLACES) or 1]
    for segment in having:
        with open_media(path, segment.segment) as container:
            source = container.streams[segment.indices[stream.index]]
            source.codec_context.thread_count = 1
            only(container, frozenset({source.index}))
            if length_ms <= whole_ms:
                yield from _decoded(container, source, length_ms / 1000 + place_s, MAX_PLACE_PACKETS * PLACES)
            else:
                yield from _at_places(container, source, segment.times[stream.index], PLACES // len(having), place_s)


def _at_places(container: Any, source: Any, times: StreamTimes, places: int, seconds: float) -> Iterator[Any]:
    begin_s = times.start_ms / 1000 - times.parts[0].offset_s
    for place in range(places):
        if place:
            # Where a file cannot be searched, reading goes on from where it is, or has come to the end.
            with contextlib.suppress(av.FFmpegError, OSError, OverflowError):
                container.seek(round((begin_s + (times.end_ms - times.start_ms) / 1000 * place / places) * av.time_base))
        yield from _decoded(container, source, seconds, MAX_PLACE_PACKETS)


def _decoded(container: Any, source: Any, seconds: float, max_packets: int) -> Iterator[Any]:
    begin_s: float | None = None
    for number, packet in enumerate(packets(container)):
        if number >= max_packets:
            return
        try:
            frames = packet.decode()
        except (av.FFmpegError, ValueError, EOFError):
            continue
        for frame in frames:
            time_s = frame.time if has_time(frame) else begin_s
            yield frame
            begin_s = time_s if begin_s is None else begin_s
            if time_s is not None and begin_s is not None and abs(time_s - begin_s) >= seconds:
                return


def channel_levels(path: str, stream: StreamInfo, segments: Sequence[SegmentProbe]) -> Levels:
    """(channels,) the highest level that each channel has for some 20 to 100 ms."""
    highest = np.zeros(stream.channels)
    for frame in sampled_frames(path, stream, segments):
        # The channels may change on the way.
        if frame.layout.nb_channels == stream.channels and frame.samples:
            highest = np.maximum(highest, levels(sound_planes(frame), frame.sample_rate))
    return highest
