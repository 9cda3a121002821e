"""What a file's own bytes say about its length where FFmpeg does not tell: it corrects a header by the size of the file.

The input is hostile: every read is bounded, and nothing is followed but lengths that lead forward. Runs in the reader's child only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Protocol

HEAD_BYTES = 1 << 16
"""Beginning of a file in which its header is looked for."""

TAIL_BYTES = 1 << 17
"""End of a file in which the last page of Ogg, or packet of MPEG, is looked for: these have at most 65,541 bytes."""

_PS_STREAMS = (0xBD, *range(0xC0, 0xF0))
"""Numbers of the streams of an MPEG program stream; none of the codes within a picture is as high."""

MAX_BOXES = 100_000
"""Boxes or elements of a file that are stepped over: a day of one-second fragments has twice as many."""

STREAMED_SIZE = 0x7F00_0000
"""A RIFF writer that cannot seek back states 0 or a size from about here on; the size then says nothing."""

MAX_TRAILER_BYTES = 1024
"""More bytes than these after the samples of a WAV file, and not in a chunk of their own, are samples: a tag is shorter."""

TS_PACKET_BYTES = 188
TS_SYNC = 0x47
"""Length and first byte of the packets of an MPEG transport stream."""

MP4 = "mov,mp4"
"""Beginning of FFmpeg's name of MP4 and MOV, which goes on with other relatives."""

_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_EBML_HEADER, _EBML_SEGMENT, _EBML_CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675


class Readable(Protocol):
    """An open file, or a segment of one."""

    def read(self, size: int = -1) -> bytes:
        """As files do."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """As files do."""

    def tell(self) -> int:
        """As files do."""


def stated_bytes(file: Readable, format_name: str) -> tuple[int, int] | None:
    """Bytes of sound that the header of a WAV, W64 or CAF file states, and bytes that the file holds. None where it states none."""
    size = _size(file)
    if format_name == "wav":
        return _riff_data(file, size)
    if format_name == "w64":
        return _w64_data(file, size)
    if format_name == "caf":
        return _caf_data(file, size)
    return None


def wav_goes_on(file: Readable, size: int) -> bool:
    """True when a WAV file has samples after its stated end, as where a recorder stated the length of its first second only."""
    stated = _riff_data(file, size)
    if stated is None or stated[1] < stated[0]:
        return False
    rest = size - file.tell() - stated[0]
    file.seek(stated[0] + stated[0] % 2, 1)
    header = file.read(8)
    is_chunk = len(header) == 8 and header[:4].strip(b" \0").isalnum() and int.from_bytes(header[4:], "little") <= rest
    return rest > MAX_TRAILER_BYTES and not is_chunk


def avi_lengths_ms(file: Readable) -> list[int]:
    """The length of each stream that the header of an AVI file states."""
    head = _head(file)
    lengths: list[int] = []
    at = head.find(b"strh")
    while 0 <= at <= len(head) - 44:
        scale, rate, _, length = struct.unpack_from("<4I", head, at + 28)
        lengths.append(length * 1000 * scale // rate if rate else 0)
        at = head.find(b"strh", at + 44)
    return lengths


def asf_length_ms(file: Readable) -> int:
    """The length that the header of an ASF file (WMA, WMV) states; 0 for none."""
    head = _head(file)
    at = head.find(_ASF_FILE_PROPERTIES)
    if not 0 <= at <= len(head) - 92:
        return 0
    play, _, preroll_ms, flags = struct.unpack_from("<3QI", head, at + 64)
    broadcast = flags & 1
    return 0 if broadcast else max(0, int(play // 10_000 - preroll_ms))


def mp3_counts_frames(file: Readable) -> bool:
    """True when an MP3 file begins with a frame that states how many follow (Xing, Info or VBRI), and what follows is no more than that.

    A file that was joined of several has the number of the first, and FFmpeg then guesses from the bit rate of the first frame.
    """
    size = _size(file)
    start = file.read(10)
    begin = 0
    if start[:3] == b"ID3" and len(start) == 10:
        # ID3v2 states its size in four bytes of seven bits.
        begin = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0), strict=True))
    file.seek(begin)
    head = file.read(512)
    stated = _xing_bytes(head)
    return stated is not None and (not stated or size - begin <= stated + stated // 16)


def _xing_bytes(head: bytes) -> int | None:
    """Bytes of the file that its first frame states, 0 where it states none; None where it does not count frames."""
    at = max(head.find(b"Xing"), head.find(b"Info"))
    if 0 <= at <= len(head) - 16:
        flags, _, second = struct.unpack_from(">3I", head, at + 4)
        if not flags & 1:
            return None
        return int(second) if flags & 2 else 0
    at = head.find(b"VBRI")
    return int.from_bytes(head[at + 10 : at + 14], "big") if 0 <= at <= len(head) - 18 else None


def flac_counts_samples(file: Readable) -> bool:
    """True when a FLAC file states its number of samples; a writer that cannot seek back leaves it 0."""
    head = _head(file)
    at = head.find(b"fLaC")
    return 0 <= at <= len(head) - 26 and int.from_bytes(head[at + 21 : at + 26], "big") & 0xF_FFFF_FFFF > 0


def is_cut_off(file: Readable, format_name: str) -> bool:
    """True when the bytes end before a structure that they belong to."""
    size = _size(file)
    checks = {
        "matroska,webm": _matroska_is_cut_off,
        "mpeg": _ps_is_cut_off,
        "ogg": _ogg_is_cut_off,
        "mpegts": _ts_is_cut_off,
        "avi": _riff_is_cut_off,
    }
    if format_name.startswith(MP4):
        return _mp4_is_cut_off(file, size)
    if format_name in checks:
        return checks[format_name](file, size)
    stated = stated_bytes(file, format_name)
    return stated is not None and stated[0] > stated[1]


def _head(file: Readable) -> bytes:
    file.seek(0)
    return file.read(HEAD_BYTES)


def _size(file: Readable) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size


def _riff_data(file: Readable, size: int) -> tuple[int, int] | None:
    """Stated and held bytes of the samples, and the file stands at the first of them."""
    file.seek(0)
    form = file.read(12)
    long_size: int | None = None
    for _ in range(MAX_BOXES):
        header = file.read(8)
        if len(header) < 8:
            return None
        name, length = header[:4], int.from_bytes(header[4:], "little")
        begin = file.tell()
        if name == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:16], "little")
        if name == b"data":
            stated = long_size if form[:4] in (b"RF64", b"BW64") and long_size else length
            unknown = stated == 0 or (long_size is None and stated >= STREAMED_SIZE)
            return None if unknown else (stated, min(stated, size - begin))
        # Chunks begin at even positions.
        file.seek(begin + length + length % 2)
    return None


def _w64_data(file: Readable, size: int) -> tuple[int, int] | None:
    file.seek(40)
    for _ in range(MAX_BOXES):
        header = file.read(24)
        if len(header) < 24:
            return None
        # A size counts its own header. Chunks begin at multiples of 8.
        length = int.from_bytes(header[16:], "little")
        if header[:16] == _W64_DATA:
            return (length - 24, min(length - 24, size - file.tell())) if length > 24 else None
        if length < 24:
            return None
        file.seek(file.tell() - 24 + -(-length // 8) * 8)
    return None


def _caf_data(file: Readable, size: int) -> tuple[int, int] | None:
    file.seek(8)
    for _ in range(MAX_BOXES):
        header = file.read(12)
        if len(header) < 12:
            return None
        length = int.from_bytes(header[4:], "big", signed=True)
        if header[:4] == b"data":
            return (length, min(length, size - file.tell())) if length > 0 else None
        if length < 0:
            return None
        file.seek(length, 1)
    return None


def _riff_is_cut_off(file: Readable, size: int) -> bool:
    head = file.read(8)
    stated = int.from_bytes(head[4:8], "little")
    return len(head) == 8 and 0 < stated < STREAMED_SIZE and stated + 8 > size


def _mp4_is_cut_off(file: Readable, size: int) -> bool:
    at = 0
    for _ in range(MAX_BOXES):
        if at == size:
            return False
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            # The box reaches to the end of the file.
            return False
        if len(header) < 8 or length < 8 or at + length > size:
            # Padding with zeros at the end is no box.
            return any(header[:8])
        at += length
    return False


def _matroska_is_cut_off(file: Readable, size: int) -> bool:
    for name, begin, length in _elements(file, 0, size):
        if name == _EBML_SEGMENT:
            if length is not None:
                return begin + length > size
            # A recorder that cannot seek back leaves the size open: its last cluster tells.
            return any(n == _EBML_CLUSTER and known is not None and at + known > size for n, at, known in _elements(file, begin, size))
    return False


def _elements(file: Readable, at: int, size: int) -> Iterator[tuple[int, int, int | None]]:
    """Name, begin of the content, and length of EBML elements, one after the other; ends at one of unknown length."""
    for _ in range(MAX_BOXES):
        file.seek(at)
        header = file.read(12)
        if at >= size or len(header) < 2 or not header[0] >> 4:
            return
        name_bytes = 9 - header[0].bit_length()
        length_bytes = 9 - header[name_bytes].bit_length() if len(header) > name_bytes and header[name_bytes] else 9
        if length_bytes > 8 or len(header) < name_bytes + length_bytes:
            return
        field = int.from_bytes(header[name_bytes : name_bytes + length_bytes], "big") & ((1 << 7 * length_bytes) - 1)
        length = None if field == (1 << 7 * length_bytes) - 1 else field
        begin = at + name_bytes + length_bytes
        yield int.from_bytes(header[:name_bytes], "big"), begin, length
        if length is None:
            return
        at = begin + length


def _ogg_is_cut_off(file: Readable, size: int) -> bool:
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return True
    segments = tail[at + 26]
    length = 27 + segments + sum(tail[at + 27 : at + 27 + segments])
    end_of_stream = tail[at + 5] & 4
    return not end_of_stream or at + length > len(tail)


def _ps_is_cut_off(file: Readable, size: int) -> bool:
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    at = max((tail.rfind(b"\0\0\1" + bytes([stream])) for stream in _PS_STREAMS), default=-1)
    if at < 0 or len(tail) < at + 6:
        return at >= 0
    length = int.from_bytes(tail[at + 4 : at + 6], "big")
    return at + 6 + length > len(tail)


def _ts_is_cut_off(file: Readable, size: int) -> bool:
    # Disc recorders write packets of 192 or 204 bytes: these are left to the decoder.
    head = file.read(TS_PACKET_BYTES + 1)
    plain = len(head) > TS_PACKET_BYTES and head[0] == head[TS_PACKET_BYTES] == TS_SYNC
    return plain and size % TS_PACKET_BYTES != 0
