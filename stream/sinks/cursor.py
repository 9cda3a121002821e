"""How far a reader has read one session: what is new, in order, each item once. Pure: it is handed what Redis holds."""

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
    """New entries of one track's streams and its unfinished window, read in one transaction."""

    scores: Sequence[Entry]
    explanations: Sequence[Entry]
    partial: Record | None
    more: bool
    """Whether the streams held more than was read."""


@dataclass(slots=True)
class TrackCursor:
    """Position in one track's streams and the unfinished window that was shown last."""

    last_id: str = START
    partial: Record | None = None

    def advance(self, answer: TrackAnswer) -> Iterator[Record]:
        """Score and explanation of each new final in order, then the unfinished window if it changed and is newer."""
        because = dict(answer.explanations)
        for entry_id, score in answer.scores:
            self.last_id = entry_id
            yield score
            if entry_id in because:
                yield because[entry_id]
        if not answer.more and answer.partial is not None and answer.partial != self.partial:
            self.partial = answer.partial
            yield answer.partial


@dataclass(slots=True)
class SessionCursor:
    """Position in a whole session.

    Attributes:
        session: Which one.
        tracks: Position in each track that is known.
        summary: The summary that was shown last.
        changed: Whether it should be read again.
        active_ms: Wall clock of the last sign of life, Unix milliseconds.
    """

    session: SessionKey
    tracks: dict[str, TrackCursor] = field(default_factory=dict)
    summary: Record | None = None
    changed: bool = True
    active_ms: int = 0
