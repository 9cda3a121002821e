"""Decides whether a chunk comes in time for a window, or too late."""

from __future__ import annotations

from enum import Enum, auto

from stream.align.outcome import A, EncodedChunk, LateChunk, Outcome


class Timeliness(Enum):
    """When a new chunk arrives, compared with the windows that it touches."""

    IN_TIME = auto()
    """At least one of its windows is open. Windows of it that have closed already do without the chunk."""
    LATE = auto()
    """All its windows have closed: it goes to the topic of late chunks."""
    FINAL_BEFORE = auto()
    """All its windows were final before this worker began with the track: it is a replay, and is acknowledged."""


def timeliness(end_ms: int, *, closed_until_ms: int, final_before_ms: int, track_ended: bool) -> Timeliness:
    """Judge a new chunk by the media time at which it ends.

    Args:
        end_ms: End of the chunk.
        closed_until_ms: No further window of the track starts before this media time.
        final_before_ms: The same, when the worker began with the track.
        track_ended: Whether every window of the track has closed for good.
    """
    if end_ms <= final_before_ms:
        return Timeliness.FINAL_BEFORE
    if track_ended or end_ms <= closed_until_ms:
        return Timeliness.LATE
    return Timeliness.IN_TIME


def reject(chunk: EncodedChunk[A], verdict: Timeliness, closed_until_ms: int, outcome: Outcome[A]) -> None:
    """Add a chunk that is not in time to an outcome. A late chunk is late by at least 1 ms, also where the track has ended before it."""
    if verdict is Timeliness.LATE:
        outcome.late += (LateChunk(chunk, max(1, closed_until_ms - chunk.header.end_ms)),)
    else:
        outcome.repeated += (chunk,)
