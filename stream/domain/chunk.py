"""One record of the chunk topics: at most a second of one modality of one track."""

from __future__ import annotations

from dataclasses import dataclass

from stream.domain.identity import SessionKey, TrackKey, check_name
from stream.domain.media_format import MAX_CHUNK_BYTES, MAX_CHUNK_MS, MAX_SESSION_MS
from stream.domain.modality import Modality

SCHEMA_VERSION = "1.0"
"""Version of the record format that this code writes; a reader accepts any ``1.x``."""


MAX_NUMBER = 2**31
"""Highest number of a chunk and of an epoch."""


class ContentType:
    """The media types that a chunk may carry, as `stream.domain.content_type` reads them."""

    PCM = "audio/L16;rate=16000;channels=1"
    """Signed 16-bit little-endian samples, 16 kHz, mono."""
    OGG_OPUS = "audio/ogg"
    AUDIO_MP4 = "audio/mp4"
    VIDEO_MP4 = "video/mp4"
    """H.264 in fragmented MP4; every record decodes by itself."""
    JPEG = "image/jpeg"
    WORDS = "application/vnd.sentistream.words+json"
    FEATURES = "application/vnd.sentistream.features"
    """Features of any modality that the producer has encoded itself, as safetensors."""


CONTENT_TYPES: dict[Modality, frozenset[str]] = {
    Modality.TEXT: frozenset({ContentType.WORDS, ContentType.FEATURES}),
    Modality.AUDIO: frozenset({ContentType.PCM, ContentType.OGG_OPUS, ContentType.AUDIO_MP4, ContentType.FEATURES}),
    Modality.VIDEO: frozenset({ContentType.VIDEO_MP4, ContentType.JPEG, ContentType.FEATURES}),
}


@dataclass(frozen=True, slots=True)
class ChunkHeader:
    """The metadata of a chunk, as its producer sends it.

    Attributes:
        id: Unique id of the record, chosen by its producer.
        source: CloudEvents source: which producer sent it.
        track: Session and track.
        role: Role of the speaker in the session: ``customer``, ``agent``, ``speaker``…
        modality: Text, audio or video.
        seq: Number within (track, modality, epoch); it may begin anywhere and leave numbers out.
        epoch: Counts restarts of the session's media clock.
        start_ms: Media time of the first sample, from the session's start.
        duration_ms: Media covered, 1 to 1,000.
        captured_ms: Wall clock (Unix, milliseconds) when the last sample was captured.
        content_type: A type that `CONTENT_TYPES` allows for the modality.
        traceparent: W3C trace context, or None.
    """

    id: str
    source: str
    track: TrackKey
    role: str
    modality: Modality
    seq: int
    epoch: int
    start_ms: int
    duration_ms: int
    captured_ms: int
    content_type: str
    traceparent: str | None = None

    def __post_init__(self) -> None:
        check_name("ce_role", self.role)
        if not 0 < len(self.id) <= 128 or not self.id.isascii() or not self.id.isprintable():
            raise ValueError("ce_id must be 1 to 128 printable ASCII characters")
        if not 0 < len(self.source) <= 256 or not self.source.isascii() or not self.source.isprintable():
            raise ValueError("ce_source must be 1 to 256 printable ASCII characters")
        for name, value, low, high in (
            ("ce_sequence", self.seq, 0, MAX_NUMBER),
            ("ce_epoch", self.epoch, 0, MAX_NUMBER),
            ("ce_mediastart", self.start_ms, 0, MAX_SESSION_MS),
            ("ce_mediaduration", self.duration_ms, 1, MAX_CHUNK_MS),
            ("ce_time (Unix ms)", self.captured_ms, 0, 2**53),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} must be between {low} and {high}")
        if self.content_type not in CONTENT_TYPES[self.modality]:
            raise ValueError(f"content-type is not allowed for {self.modality}")

    @property
    def session(self) -> SessionKey:
        """The session that the chunk belongs to."""
        return self.track.session

    @property
    def end_ms(self) -> int:
        """Media time just after the last sample."""
        return self.start_ms + self.duration_ms

    @property
    def media_start_at_ms(self) -> int:
        """Wall clock (Unix ms) at which the session's media began, according to this chunk."""
        return self.captured_ms - self.start_ms - self.duration_ms


@dataclass(frozen=True, slots=True)
class Chunk:
    """A header and the raw media it describes."""

    header: ChunkHeader
    payload: bytes

    def __post_init__(self) -> None:
        if not self.payload:
            raise ValueError("the record is empty")
        if len(self.payload) > MAX_CHUNK_BYTES:
            raise ValueError(f"the record is larger than {MAX_CHUNK_BYTES} bytes")
