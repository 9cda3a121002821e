"""Finds the files that were joined to one: each of them has a header and a clock of its own, and FFmpeg reads only the first.

Formats without a header (MP3, ADTS) need none of this: FFmpeg reads through the joint. An MPEG transport stream is divided where its
streams become others, such as another codec: FFmpeg would go on with the old decoder. The input is hostile: runs in the
reader's child process only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from stream.media.headers import MAX_BOXES, MP4, STREAMED_SIZE, wav_goes_on
from stream.media.transport_stream import program_changes

MAX_SEGMENTS = 1000
"""Joined files that are read. A recorder that begins a new file each second fills a quarter of an hour with them."""

_CHUNK_BYTES = 1 << 20
_READ_ON = {"ignore_length": "1"}
_OGG_FIRST_PAGE = b"OggS\x00\x02"
_OGG_HEADER_BYTES = 27
_FLAC_MARKERS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
"""A FLAC file begins with its stream information, which has 34 bytes; the first bit says whether it is the only block of the header."""
_EBML_MARKER = b"\x1a\x45\xdf\xa3"
_EBML_TYPES = (b"matroska", b"webm")
_FLV_MARKERS = tuple(b"FLV\x01" + bytes([flags]) + b"\x00\x00\x00\x09" for flags in (1, 4, 5))


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes of a file that are a file of their own.

    Attributes:
        begin: Its first byte.
        end: The byte after its last.
        whole: It is the whole file.
        options: How FFmpeg must read it.
    """

    begin: int
    end: int
    whole: bool = True
    options: Mapping[str, str] = field(default_factory=dict)


def find_segments(path: str, format_name: str, *, additions: bool = False) -> tuple[Segment, ...]:
    """The files that a file consists of, in order; most consist of one.

    Args:
        path: The file.
        format_name: FFmpeg's name of its format.
        additions: Divide a transport stream also where a stream is added.
    """
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        begins = sorted({begin for begin in _begins(file, size, format_name, additions=additions) if 0 < begin < size})[: MAX_SEGMENTS - 1]
        options = _READ_ON if format_name == "wav" and not begins and wav_goes_on(file, size) else {}
    return tuple(Segment(begin, end, not begins, options) for begin, end in zip([0, *begins], [*begins, size], strict=True))


def _begins(file: BinaryIO, size: int, format_name: str, *, additions: bool) -> Iterator[int]:
    if format_name == "ogg":
        yield from _ogg_chains(file)
    elif format_name == "flac":
        yield from _found(file, _FLAC_MARKERS)
    elif format_name == "flv":
        yield from _found(file, _FLV_MARKERS)
    elif format_name == "matroska,webm":
        yield from (at for at in _found(file, (_EBML_MARKER,)) if any(name in _bytes_at(file, at, 64) for name in _EBML_TYPES))
    elif format_name in ("wav", "avi"):
        yield from _riff_files(file, size)
    elif format_name == "mpegts":
        yield from program_changes(file, additions=additions)
    elif format_name.startswith(MP4):
        yield from _mp4_files(file, size)


def _found(file: BinaryIO, markers: tuple[bytes, ...]) -> Iterator[int]:
    """Every place of the markers, in the order of the file for each of them."""
    longest = max(map(len, markers))
    position, tail = 0, b""
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        window = tail + chunk
        begin = position - len(tail)
        for marker in markers:
            at = window.find(marker)
            while at >= 0:
                yield begin + at
                at = window.find(marker, at + 1)
        position += len(chunk)
        # A marker may lie across two chunks; a shorter rest cannot hold one again.
        tail = window[-(longest - 1) :]
        file.seek(position)


def _bytes_at(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _ogg_chains(file: BinaryIO) -> Iterator[int]:
    """A chain begins with the first pages of all its streams, one after the other."""
    group_end = -1
    for at in _found(file, (_OGG_FIRST_PAGE,)):
        header = _bytes_at(file, at, _OGG_HEADER_BYTES + 255)
        if at != group_end:
            yield at
        if len(header) >= _OGG_HEADER_BYTES:
            sizes = header[_OGG_HEADER_BYTES : _OGG_HEADER_BYTES + header[_OGG_HEADER_BYTES - 1]]
            group_end = at + _OGG_HEADER_BYTES + len(sizes) + sum(sizes)


def _riff_files(file: BinaryIO, size: int) -> Iterator[int]:
    """Every RIFF file. Large AVI files have further parts of the type ``AVIX``, which belong to the first."""
    at = 0
    for _ in range(MAX_BOXES):
        header = _bytes_at(file, at, 12)
        length = int.from_bytes(header[4:8], "little")
        if len(header) < 12 or header[:4] != b"RIFF" or not 0 < length < STREAMED_SIZE:
            return
        if header[8:] != b"AVIX":
            yield at
        at += 8 + length + length % 2
        if at >= size:
            return


def _mp4_files(file: BinaryIO, size: int) -> Iterator[int]:
    """Every ``ftyp`` that follows an index."""
    at = 0
    has_index = False
    for _ in range(MAX_BOXES):
        header = _bytes_at(file, at, 16)
        length = int.from_bytes(header[8:16] if header[:4] == b"\x00\x00\x00\x01" else header[:4], "big")
        if len(header) < 8 or length < 8 or at + length > size:
            # The last box of a file that was cut off before it was joined hides what follows.
            return
        if header[4:8] == b"ftyp" and has_index:
            yield at
            has_index = False
        has_index |= header[4:8] == b"moov"
        at += length


class SegmentFile:
    """A segment, read like a file of its own."""

    def __init__(self, path: str, segment: Segment) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 (closed by `close`)
        self._segment = segment
        self.seek(0)

    def read(self, size: int = -1) -> bytes:
        """As files do."""
        left = max(0, self._segment.end - self._file.tell())
        return self._file.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = 0) -> int:
        """As files do."""
        base = (self._segment.begin, self._file.tell(), self._segment.end)[whence]
        self._file.seek(max(self._segment.begin, base + offset))
        return self.tell()

    def tell(self) -> int:
        """As files do."""
        return self._file.tell() - self._segment.begin

    def close(self) -> None:
        """As files do."""
        self._file.close()

    def __enter__(self) -> SegmentFile:
        """The open segment."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
