"""Headers of the chunks of synthetic sessions."""

from __future__ import annotations

from stream.domain.chunk import ChunkHeader
from stream.domain.identity import TrackKey
from stream.domain.modality import Modality


def chunk_header(
    track: TrackKey, modality: Modality, *, seq: int, start_ms: int, duration_ms: int, captured_ms: int, content_type: str
) -> ChunkHeader:
    """Header of a chunk. The name of the track is also its role."""
    return ChunkHeader(
        id=f"{track.session.session}-{modality}-{seq}",
        source="benchmark",
        track=track,
        role=track.track,
        modality=modality,
        seq=seq,
        epoch=0,
        start_ms=start_ms,
        duration_ms=duration_ms,
        captured_ms=captured_ms,
        content_type=content_type,
    )


def second_header(track: TrackKey, modality: Modality, second: int, captured_ms: int, content_type: str) -> ChunkHeader:
    """Header of a chunk with one second of media."""
    return chunk_header(
        track, modality, seq=second, start_ms=second * 1000, duration_ms=1000, captured_ms=captured_ms, content_type=content_type
    )
