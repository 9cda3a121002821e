"""Recognises the format of a chunk's bytes: from their first bytes and, for JPEG, from the whole file's structure."""

from __future__ import annotations

import re

from stream.domain.chunk import ContentType
from stream.media.errors import MediaError

_EOI, _SOS = 0xD9, 0xDA
_FRAME_HEADERS = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended and progressive DCT: the kinds of JPEG that the decoder reads."""
_ALL_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The three exceptions share the range but are Huffman tables, a reserved marker and arithmetic conditioning."""
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length and a segment."""
_MARKER_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7]")


def sniff(payload: bytes) -> frozenset[str]:
    """Content types that bytes with this beginning may have; empty when no chunk may carry them."""
    if payload[:3] == b"\xff\xd8\xff":
        return frozenset({ContentType.JPEG})
    if payload[:4] == b"OggS":
        return frozenset({ContentType.OGG_OPUS})
    if payload[4:8] in (b"ftyp", b"styp"):
        return frozenset({ContentType.AUDIO_MP4, ContentType.VIDEO_MP4})
    return frozenset()


def check_type(payload: bytes, content_type: str) -> None:
    """Raise `MediaError` (``wrong_type``) unless the bytes look like the declared type.

    Without this check a sender could reach any of FFmpeg's and OpenCV's readers, such as playlists that open other files.
    """
    if content_type not in sniff(payload):
        raise MediaError("wrong_type")


def jpeg_size(payload: bytes) -> tuple[int, int]:
    """Width and height of a complete JPEG file, read from its markers without decoding a pixel.

    The whole file is walked, so that a cut-off JPEG is refused: decoders may fill the missing part with grey instead of failing.

    Raises:
        MediaError: ``bad_media`` when the file is cut off or malformed; ``unsupported`` for an unusual kind of JPEG.
    """
    size: tuple[int, int] | None = None
    position = 2
    while True:
        marker, position = _next_marker(payload, position)
        if marker == _EOI:
            break
        if marker in _STANDALONE:
            continue
        length = int.from_bytes(payload[position : position + 2], "big")
        segment = payload[position + 2 : position + length]
        if length < 2 or len(segment) != length - 2:
            raise MediaError("bad_media")
        position += length
        if marker in _FRAME_HEADERS and len(segment) >= 6:
            size = int.from_bytes(segment[3:5], "big"), int.from_bytes(segment[1:3], "big")
        elif marker in _ALL_FRAME_HEADERS:
            raise MediaError("unsupported")
        elif marker == _SOS:
            position = _after_scan(payload, position)
    if size is None or 0 in size:
        raise MediaError("bad_media")
    return size


def _next_marker(payload: bytes, position: int) -> tuple[int, int]:
    """The marker at a position and the position after it. A marker may be preceded by any number of fill bytes 0xFF."""
    if payload[position : position + 1] != b"\xff":
        raise MediaError("bad_media")
    while payload[position : position + 1] == b"\xff":
        position += 1
    if position >= len(payload):
        raise MediaError("bad_media")
    return payload[position], position + 1


def _after_scan(payload: bytes, position: int) -> int:
    """Position of the first marker after entropy-coded data; stuffed zeros and restart markers belong to the data."""
    marker = _MARKER_AFTER_SCAN.search(payload, position)
    if marker is None:
        raise MediaError("bad_media")
    return marker.start()
