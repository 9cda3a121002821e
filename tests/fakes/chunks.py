"""Chunk headers for tests."""

from __future__ import annotations

from stream.domain.chunk import ChunkHeader, ContentType
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.modality import Modality

MEDIA_START_AT_MS = 1_000_000
"""Wall clock at which media begins."""
MEDIA_TYPES = {Modality.TEXT: ContentType.WORDS, Modality.AUDIO: ContentType.PCM, Modality.VIDEO: ContentType.JPEG}


def header(
    seq: int,
    modality: Modality = Modality.TEXT,
    *,
    session: str = "call-1",
    track: str = "customer",
    epoch: int = 0,
    start_ms: int | None = None,
    duration_ms: int = 1000,
) -> ChunkHeader:
    """Header of chunk number ``seq``, which by default covers second ``seq``."""
    start = seq * 1000 if start_ms is None else start_ms
    return ChunkHeader(
        id=f"{modality}-{seq}",
        source="test",
        track=TrackKey(SessionKey("acme", session), track),
        role="customer",
        modality=modality,
        seq=seq,
        epoch=epoch,
        start_ms=start,
        duration_ms=duration_ms,
        captured_ms=MEDIA_START_AT_MS + start + duration_ms,
        content_type=MEDIA_TYPES[modality],
    )
