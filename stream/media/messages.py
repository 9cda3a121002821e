"""Messages between a parent process and its media child processes: a msgpack header, followed by raw bytes.

The child reads hostile bytes and may be taken over by them. Therefore the parent never unpickles anything that a child sends, decodes
headers into the types below only, and checks every length before it allocates memory for it.

Layout of a message: two big-endian uint32 (header and body length), the header, the body.
"""

from __future__ import annotations

import struct
from typing import IO, Annotated, Literal

import msgspec

from stream.media.faces import Box
from stream.media.media_info import MediaInfo, MediaReport, Selection, Survey, UnreadableReason
from stream.media.quality import VideoQuality

LENGTHS = struct.Struct(">II")

MAX_HEADER_BYTES = 1 << 16
"""Well above the longest real header: the boxes of all faces of a chunk."""

MAX_BODY_BYTES = 1 << 24
"""Well above the longest real body: the crops of all faces of a chunk, about 3 MB. The format itself would allow 4 GiB."""

Reason = Literal["bad_media", "wrong_type", "unsupported", "no_media", "too_large", "too_long"]
"""The keys of `stream.media.errors.REASONS` that a child may answer with: text of its own choice would end up in logs."""


class ProtocolError(Exception):
    """The other process does not keep to the format."""


class DecodeAudio(msgspec.Struct, frozen=True, tag="audio"):
    """Body: a chunk's container. Answered by `Samples16k` or `Refused`."""

    content_type: str


class FindFaces(msgspec.Struct, frozen=True, tag="faces"):
    """Body: a chunk's picture or film. Answered by `FacesFound` or `Refused`."""

    content_type: str
    frames_per_second: int
    max_pixels: int


DecoderRequest = DecodeAudio | FindFaces


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The child has loaded its decoders and confined itself."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The chunk cannot be decoded."""

    reason: Reason


class Samples16k(msgspec.Struct, frozen=True, tag="samples"):
    """Body: int16 samples, 16 kHz mono."""


class FrameBoxes(msgspec.Struct, frozen=True):
    """One sampled frame: its time from the chunk's first frame, and its faces, largest first."""

    time_ms: int
    boxes: tuple[Box, ...]


class FacesFound(msgspec.Struct, frozen=True, tag="found"):
    """Body: one 48x48 grey crop for each box, in order."""

    frames: tuple[FrameBoxes, ...]


DecoderReply = Ready | Refused | Samples16k | FacesFound


class OpenMedia(msgspec.Struct, frozen=True, tag="open"):
    """Read a user's file. Answered by `Opened`, `PieceHeader`s and `Finished`, or by `Unreadable`. No selection: `MediaInfo.first`."""

    path: bytes
    """A file name need not be UTF-8."""
    selection: Selection | None
    quality: VideoQuality


class SurveyMedia(msgspec.Struct, frozen=True, tag="survey"):
    """Take samples of every stream of a user's file. Answered by `Surveyed` or `Unreadable`."""

    path: bytes


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """The content of the file, and what will be read of it."""

    info: MediaInfo
    selection: Selection


class Surveyed(msgspec.Struct, frozen=True, tag="surveyed"):
    """What samples of the file's streams show."""

    survey: Survey


class Working(msgspec.Struct, frozen=True, tag="working"):
    """The file is still being read; more will follow."""


class PieceHeader(msgspec.Struct, frozen=True, tag="piece"):
    """Body: at most a second of one stream. `source` is None for video, else the place of its `AudioSource` in the selection."""

    modality: Literal["audio", "video"]
    source: Annotated[int, msgspec.Meta(ge=0)] | None
    start_ms: int
    duration_ms: int


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The end of the file."""

    report: MediaReport


class Unreadable(msgspec.Struct, frozen=True, tag="unreadable"):
    """Nothing in the file can be used."""

    reason: UnreadableReason


ReaderRequest = OpenMedia | SurveyMedia
ReaderReply = Opened | Surveyed | Working | PieceHeader | Finished | Unreadable

_PACK = msgspec.msgpack.Encoder()


def pack(header: msgspec.Struct, body: bytes = b"") -> bytes:
    """One message as bytes."""
    packed = _PACK.encode(header)
    return LENGTHS.pack(len(packed), len(body)) + packed + body


def check_lengths(prefix: bytes) -> tuple[int, int]:
    """Header and body length of the message that follows. Raises `ProtocolError` when the message is too long."""
    header_length, body_length = LENGTHS.unpack(prefix)
    if header_length > MAX_HEADER_BYTES or body_length > MAX_BODY_BYTES:
        raise ProtocolError("message too long")
    return header_length, body_length


def read_message(stream: IO[bytes]) -> tuple[bytes, bytes] | None:
    """Header and body of the next message, or None at the end of the stream. Raises `ProtocolError` for half a message."""
    prefix = stream.read(LENGTHS.size)
    if not prefix:
        return None
    if len(prefix) < LENGTHS.size:
        raise ProtocolError("message cut off")
    header_length, body_length = check_lengths(prefix)
    header, body = stream.read(header_length), stream.read(body_length)
    if len(header) < header_length or len(body) < body_length:
        raise ProtocolError("message cut off")
    return header, body
