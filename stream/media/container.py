"""Opens media files and reads their packets to the last one. The input is hostile: runs in the reader's child process only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av

from stream.media.headerless import open_headerless
from stream.media.headers import MP4
from stream.media.segments import Segment, SegmentFile

MAX_FAILURES = 100
"""Reads that may fail one after the other before the rest of a file is given up."""

MAX_INDEX_FAILURES = 100_000
"""The same, for MP4, which is read by an index: half an hour of sound has as many entries. Where a file is cut off, reading fails once for
each entry without bytes, while entries of other streams still have theirs."""


def open_media(path: str, segment: Segment | None = None) -> Any:
    """Open a file, or one of the files that it was joined of. Raises ``av.FFmpegError``, ``OSError`` or ``ValueError``."""
    # Playlists and some containers name other inputs: with this they cannot make FFmpeg open network connections.
    options = {"protocol_whitelist": "file"}
    if segment is not None:
        options |= segment.options
    if segment is not None and not segment.whole:
        return av.open(SegmentFile(path, segment), mode="r", options=options)
    headerless = open_headerless(Path(path), options)
    return headerless if headerless is not None else av.open(path, mode="r", options=options)


def only(container: Any, indices: frozenset[int]) -> None:
    """Read the packets of these streams only: a stream whose part of the file is missing cannot end the reading of another one."""
    for stream in container.streams:
        if stream.index not in indices:
            stream.discard = av.stream.Discard.all


def packets(
    container: Any,
    on_packet: Callable[[], None] | None = None,
    on_failure: Callable[[], None] | None = None,
    on_late_stream: Callable[[], None] | None = None,
) -> Iterator[Any]:
    """The packets of all streams that are not discarded, in the order of the file.

    A place that cannot be read is skipped: the rest of the recording is still worth sending.

    Args:
        container: Open input.
        on_packet: Called for each packet.
        on_failure: Called for each place that cannot be read.
        on_late_stream: Called where a stream begins that FFmpeg did not find when the file was opened: it is not read.
    """
    chosen = {stream.index for stream in container.streams if stream.discard != av.stream.Discard.all}
    failures = read = 0
    while failures <= MAX_FAILURES + _unread_entries(container, read):
        try:
            for packet in container.demux():
                # PyAV ends each run with an empty packet for each stream, to empty the decoders. The first packets of a discarded stream
                # were read before it was discarded.
                if packet.size and packet.stream_index in chosen:
                    read, failures = read + 1, 0
                    if on_packet is not None:
                        on_packet()
                    yield packet
            if not _unread_entries(container, read):
                return
        except IndexError:
            # PyAV does not know streams that appear on the way, which only MPEG has.
            if on_late_stream is not None:
                on_late_stream()
        except (av.FFmpegError, OSError):
            if on_failure is not None:
                on_failure()
        failures += 1


def _unread_entries(container: Any, read: int) -> int:
    """Packets that the index of a file lists and that were not read. Other containers than MP4 have an index for seeking only."""
    if not container.format.name.startswith(MP4):
        return 0
    entries = sum(len(stream.index_entries) for stream in container.streams if stream.discard != av.stream.Discard.all)
    return min(MAX_INDEX_FAILURES, max(0, entries - read))
