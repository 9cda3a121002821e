"""Headers of the chunks of synthetic sessions. Each chunk holds one second of one modality."""

from __future__ import annotations

from stream.domain.chunk import ChunkHeader
from stream.domain.identity import TrackKey
from stream.domain.modality import Modality


def second_header(track: TrackKey, modality: Modality, second: int, captured_ms: int, content_type: str) -> ChunkHeader:
    """Header of a chunk with one second of media. The name of the track is also its role."""
    return ChunkHeader(
        id=f"{track.session.session}-{modality}-{second}",
        source="benchmark",
        track=track,
        role=track.track,
        modality=modality,
        seq=second,
        epoch=0,
        start_ms=second * 1000,
        duration_ms=1000,
        captured_ms=captured_ms,
        content_type=content_type,
    )
