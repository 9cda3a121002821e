"""The position of a reader in one session. It picks the new records, in order, each once. Pure: the caller reads Redis.

Stream ids rise with (epoch, end of the window), so the id of the last entry read is the whole position: after an outage or a restart of
Redis, reading continues behind it, without a gap and without a repeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stream.domain.identity import SessionKey
from stream.domain.result import Record

Entry = tuple[str, Record]
"""Stream id (``EPOCH-WINDOW_END``) and record."""

START = "0-0"


@dataclass(frozen=True, slots=True)
class TrackAnswer:
    """New entries of a track's streams and its partial result, read in one transaction."""

    scores: Sequence[Entry]
    explanations: Sequence[Entry]
    partial: Record | None
    more: bool
    """Whether the streams hold more entries than were read."""


@dataclass(slots=True)
class TrackCursor:
    """Position in a track's streams, and the last partial result that was returned."""

    last_id: str = START
    partial: Record | None = None

    def advance(self, answer: TrackAnswer) -> Iterator[Record]:
        """Score and explanation of each new final window in order, then the partial result if it has changed.

        While there are more final windows to read, the partial result is held back: it belongs to a later window than theirs.
        """
        explanations = dict(answer.explanations)
        for entry_id, score in answer.scores:
            self.last_id = entry_id
            yield score
            if entry_id in explanations:
                yield explanations[entry_id]
        if not answer.more and answer.partial is not None and answer.partial != self.partial:
            self.partial = answer.partial
            yield answer.partial


@dataclass(slots=True)
class SessionCursor:
    """Position in a session.

    Attributes:
        session: The session.
        tracks: Position in each known track.
        summary: The last summary that was returned.
        changed: Whether the session has to be read again.
        active_ms: Wall clock (Unix ms) of the session's last known activity.
    """

    session: SessionKey
    tracks: dict[str, TrackCursor] = field(default_factory=dict)
    summary: Record | None = None
    changed: bool = True
    active_ms: int = 0
