"""What the result topics hold, sorted for a refill of Redis. Pure: it is handed the records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import msgspec

from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord, SessionRecord, decode_record

Place = tuple[int, int]
"""Epoch and end of a window: its place in its track."""

Final = tuple[ScoreRecord, ExplanationRecord]


@dataclass(slots=True)
class _Track:
    scores: dict[Place, bytes] = field(default_factory=dict)
    explanations: dict[Place, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Session:
    newest_ms: int = 0
    summary: bytes | None = None
    tracks: dict[str, _Track] = field(default_factory=dict)


class History:
    """Collects results. The first record of an id is kept; a repeat with other content is remembered as a conflict.

    It holds about as much memory as Redis did.

    Args:
        finals_per_track: So many of the newest windows of a track are kept.
    """

    def __init__(self, finals_per_track: int) -> None:
        self._most = finals_per_track
        self._sessions: dict[SessionKey, _Session] = {}
        self.repeated = 0
        """Records that came again with the same content."""
        self.conflicts: dict[str, None] = {}
        """Ids that came again with other content, in order."""
        self.unreadable = 0
        """Records that are no results."""

    def add(self, value: bytes | None, written_ms: int) -> None:
        """Take in the value of a record of a result topic and the time when it was written (Unix milliseconds)."""
        try:
            record = decode_record(value or b"")
            if isinstance(record, PartialRecord):
                raise ValueError("an unfinished window is not published")
            session = self._sessions.setdefault(SessionKey(record.tenant, record.session), _Session())
            if isinstance(record, SessionRecord):
                self._add_summary(session, record, value or b"")
            else:
                self._add_window(session, record, value or b"")
        except (msgspec.DecodeError, UnicodeError, ValueError):
            self.unreadable += 1
        else:
            session.newest_ms = max(session.newest_ms, written_ms)

    def sessions(self, since_ms: int = 0) -> list[SessionKey]:
        """Sessions with a record that was written then or later. A session comes wholly or not at all."""
        return sorted(key for key, session in self._sessions.items() if session.newest_ms >= since_ms)

    def tracks(self, session: SessionKey) -> list[TrackKey]:
        """The session's tracks."""
        return [TrackKey(session, track) for track in sorted(self._sessions[session].tracks)]

    def finals(self, track: TrackKey) -> Iterator[Final]:
        """The track's windows in order, those without an explanation left out: they were never in Redis."""
        found = self._sessions[track.session].tracks[track.track]
        for place in self._places(found):
            if place in found.explanations:
                yield cast(Final, (decode_record(found.scores[place]), decode_record(found.explanations[place])))

    def unexplained(self, track: TrackKey) -> int:
        """Windows of the track without an explanation."""
        found = self._sessions[track.session].tracks[track.track]
        return sum(place not in found.explanations for place in self._places(found))

    def summary(self, session: SessionKey) -> SessionRecord | None:
        """The summary of the session's newest epoch, the one of the most windows."""
        held = self._sessions[session].summary
        return None if held is None else cast(SessionRecord, decode_record(held))

    def _places(self, track: _Track) -> list[Place]:
        return sorted(track.scores)[-self._most :]

    def _add_window(self, session: _Session, record: ScoreRecord | ExplanationRecord, value: bytes) -> None:
        key = TrackKey(SessionKey(record.tenant, record.session), record.track)
        track = session.tracks.setdefault(key.track, _Track())
        kind = track.scores if isinstance(record, ScoreRecord) else track.explanations
        place = (record.epoch, record.end_ms)
        if place in kind:
            self._compare(record.window_id, kind[place], value)
            return
        kind[place] = value
        if len(kind) > 2 * self._most:
            for old in sorted(kind)[: -self._most]:
                del kind[old]

    def _add_summary(self, session: _Session, record: SessionRecord, value: bytes) -> None:
        if session.summary is not None:
            held = cast(SessionRecord, decode_record(session.summary))
            if (record.epoch, record.windows) == (held.epoch, held.windows):
                self._compare(f"{record.tenant}/{record.session}/{record.epoch}", session.summary, value)
            if (record.epoch, record.windows) <= (held.epoch, held.windows):
                return
        session.summary = value

    def _compare(self, name: str, held: bytes, value: bytes) -> None:
        if held == value or decode_record(held) == decode_record(value):
            self.repeated += 1
        else:
            self.conflicts[name] = None
