"""Finds where the streams of an MPEG transport stream become others, and where its packets are missing.

The input is hostile: runs in the reader's child process only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from stream.media.headers import TS_PACKET_BYTES, TS_SYNC, Readable

_NO_CONTENT = 0x1FFF
_CHUNK_PACKETS = 8_000
_PRIVATE_DATA = 6
"""Stream type whose codec stands in its descriptors."""

Streams = Mapping[int, bytes]
"""Type and, for private data, descriptors of each stream, by its packet identifier."""


def program_changes(file: Readable, *, additions: bool = False) -> Iterator[int]:
    """Positions from which on a packet identifier stands for another kind of stream, or streams are replaced.

    Args:
        file: An MPEG transport stream with packets of 188 bytes.
        additions: Whether a stream that is added to the others counts as a change, too. It costs the pictures up to the next key frame.
    """
    maps: set[int] = set()
    programs: dict[int, Streams] = {}
    sections: dict[int, bytes] = {}
    last_table = 0
    for begin, packets in _aligned(file):
        identifiers = (packets[:, 1] & 0x1F).astype(np.int32) << 8 | packets[:, 2]
        starts = (packets[:, 1] & 0x40) > 0
        while True:
            rows = np.flatnonzero(starts & np.isin(identifiers, [0, *maps]))
            known = len(maps)
            for row in rows:
                identifier, section = int(identifiers[row]), _section(packets[row].tobytes())
                if identifier == 0:
                    maps |= _map_identifiers(section)
                    last_table = begin + int(row) * TS_PACKET_BYTES
                elif sections.get(identifier) != section:
                    sections[identifier] = section
                    streams = _streams(section)
                    before = programs.get(identifier, {})
                    added = additions and bool(before) and not streams.keys() <= before.keys()
                    if streams and (added or is_other(before, streams)):
                        yield last_table
                    programs[identifier] = streams or programs.get(identifier, {})
            # The first association table names the maps: those of the same chunk are looked at again.
            if len(maps) == known:
                break


def missing_packets(file: Readable) -> dict[int, list[int]]:
    """Positions at which packets of a stream are missing before the packet that stands there, by packet identifier.

    Each stream counts its packets with four bits. A step of the count may as well be a splice, which loses nothing: whether time is missing
    as well, the clock tells.

    Args:
        file: An MPEG transport stream with packets of 188 bytes.
    """
    counts: dict[int, int] = {}
    missing: dict[int, list[int]] = {}
    for begin, packets in _aligned(file):
        has_payload = (packets[:, 3] & 0x10) > 0
        identifiers = (packets[:, 1] & 0x1F).astype(np.int32) << 8 | packets[:, 2]
        for identifier in np.unique(identifiers[has_payload & (identifiers != _NO_CONTENT)]):
            rows = np.flatnonzero(has_payload & (identifiers == identifier))
            own = packets[rows, 3] & 0x0F
            before = np.concatenate([[counts.get(int(identifier), int(own[0]) - 1)], own[:-1]])
            steps = (own.astype(np.int16) - before) % 16
            # A packet may be sent twice.
            missing.setdefault(int(identifier), []).extend(begin + int(row) * TS_PACKET_BYTES for row in rows[steps > 1])
            counts[int(identifier)] = int(own[-1])
    return missing


def is_other(before: Streams, after: Streams) -> bool:
    """True when streams are replaced by others."""
    changed = any(after[identifier] != kind for identifier, kind in before.items() if identifier in after)
    return changed or (bool(before) and not before.keys() <= after.keys() and not after.keys() <= before.keys())


def _aligned(file: Readable) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Position and (n, 188) bytes of packets that begin with the sync byte."""
    position = 0
    while True:
        file.seek(position)
        chunk = np.frombuffer(file.read(_CHUNK_PACKETS * TS_PACKET_BYTES), np.uint8)
        count = len(chunk) // TS_PACKET_BYTES
        if not count:
            return
        packets = chunk[: count * TS_PACKET_BYTES].reshape(-1, TS_PACKET_BYTES)
        wrong = np.flatnonzero(packets[:, 0] != TS_SYNC)
        good = int(wrong[0]) if wrong.size else count
        if good:
            yield position, packets[:good]
        position += good * TS_PACKET_BYTES
        if wrong.size:
            position += _next_sync(chunk[good * TS_PACKET_BYTES :])


def _next_sync(data: npt.NDArray[np.uint8]) -> int:
    """Distance of the next place at which two packets begin, or the length of the data."""
    places = np.flatnonzero(data[:-TS_PACKET_BYTES] == TS_SYNC) if data.size > TS_PACKET_BYTES else np.empty(0, np.int64)
    aligned = places[(places > 0) & (data[places + TS_PACKET_BYTES] == TS_SYNC)]
    return int(aligned[0]) if aligned.size else max(1, data.size)


def _section(packet: bytes) -> bytes:
    """The table section that begins in a packet, as far as the packet holds it."""
    payload = 4
    if packet[3] & 0x20:
        payload += 1 + packet[4]
    if payload >= TS_PACKET_BYTES or not packet[3] & 0x10:
        return b""
    begin = payload + 1 + packet[payload]
    length = int.from_bytes(packet[begin + 1 : begin + 3], "big") & 0xFFF
    return packet[begin : begin + 3 + length]


def _map_identifiers(section: bytes) -> set[int]:
    entries = section[8:-4]
    programs = (entries[at : at + 4] for at in range(0, len(entries) - 3, 4))
    # Program 0 is network information.
    return {int.from_bytes(entry[2:4], "big") & 0x1FFF for entry in programs if entry[:2] != b"\0\0"}


def _streams(section: bytes) -> Streams:
    if len(section) < 16 or section[0] != 2:
        return {}
    streams: dict[int, bytes] = {}
    at = 12 + (int.from_bytes(section[10:12], "big") & 0xFFF)
    while at + 5 <= len(section) - 4:
        length = int.from_bytes(section[at + 3 : at + 5], "big") & 0xFFF
        descriptors = section[at + 5 : at + 5 + length] if section[at] == _PRIVATE_DATA else b""
        streams[int.from_bytes(section[at + 1 : at + 3], "big") & 0x1FFF] = section[at : at + 1] + descriptors
        at += 5 + length
    return streams
