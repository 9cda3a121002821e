"""Collects the contents of the result topics and sorts them for a refill of Redis. Pure: the caller reads Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from stream.domain.alert import AlertRecord
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord, SessionRecord, decode_record

Position = tuple[int, int]
"""Position of a window in its track: epoch and end."""

Final = tuple[ScoreRecord, ExplanationRecord]


@dataclass(slots=True)
class _Track:
    scores: dict[Position, bytes] = field(default_factory=dict)
    explanations: dict[Position, bytes] = field(default_factory=dict)
    alerts: dict[Position, dict[str, bytes]] = field(default_factory=dict)


@dataclass(slots=True)
class _Session:
    newest_ms: int = 0
    summary: bytes | None = None
    tracks: dict[str, _Track] = field(default_factory=dict)


class History:
    """Collects results and alerts.

    Of several records with one id the first is kept, as in Redis; different content is reported as a conflict.

    Records are held as bytes, so the history takes about as much memory as Redis.

    Args:
        finals_per_track: Number of newest windows to keep of each track.
    """

    def __init__(self, finals_per_track: int) -> None:
        self._finals_per_track = finals_per_track
        self._sessions: dict[SessionKey, _Session] = {}
        self.repeated = 0
        """Records that repeat an earlier record with the same content."""
        self.conflicts: dict[str, None] = {}
        """Ids of records that repeat an earlier record with different content, in the order in which they were found."""
        self.unreadable = 0
        """Records that are not results."""
        self.erased: dict[SessionKey, int] = {}
        """Sessions that were erased, and when (Unix ms)."""

    def add(self, value: bytes | None, written_ms: int) -> None:
        """Add the value of a record of a result topic, and the time at which it was written (Unix ms)."""
        try:
            record = decode_record(value or b"")
            if isinstance(record, PartialRecord):
                raise ValueError("a partial result is not published")
            session = self._sessions.setdefault(SessionKey(record.tenant, record.session), _Session())
            if isinstance(record, SessionRecord):
                self._add_summary(session, record, value or b"")
            elif isinstance(record, AlertRecord):
                self._add_alert(session, record, value or b"")
            else:
                self._add_window(session, record, value or b"")
        except (msgspec.DecodeError, UnicodeError, ValueError):
            self.unreadable += 1
        else:
            session.newest_ms = max(session.newest_ms, written_ms)

    def sessions(self, since_ms: int = 0) -> list[SessionKey]:
        """Sessions with a record that was written at ``since_ms`` (Unix ms) or later. Older records of such a session count as well."""
        return sorted(key for key, session in self._sessions.items() if session.newest_ms >= since_ms)

    def tracks(self, session: SessionKey) -> list[TrackKey]:
        """The session's tracks."""
        return [TrackKey(session, track) for track in sorted(self._sessions[session].tracks)]

    def finals(self, track: TrackKey) -> Iterator[Final]:
        """The track's windows in order. Windows without an explanation are left out: they never became final in Redis."""
        records = self._sessions[track.session].tracks[track.track]
        for position in self._positions(records):
            if position in records.explanations:
                yield cast(Final, (decode_record(records.scores[position]), decode_record(records.explanations[position])))

    def alerts(self, score: ScoreRecord) -> tuple[AlertRecord, ...]:
        """The alerts of a window, in the order in which they were published."""
        of_track = self._sessions[SessionKey(score.tenant, score.session)].tracks[score.track].alerts
        return tuple(cast(AlertRecord, decode_record(alert)) for alert in of_track.get((score.epoch, score.end_ms), {}).values())

    def unexplained(self, track: TrackKey) -> int:
        """Windows of the track without an explanation."""
        records = self._sessions[track.session].tracks[track.track]
        return sum(position not in records.explanations for position in self._positions(records))

    def summary(self, session: SessionKey) -> SessionRecord | None:
        """The summary of the session's newest epoch; of several, the one with the most windows."""
        summary = self._sessions[session].summary
        return None if summary is None else cast(SessionRecord, decode_record(summary))

    def _positions(self, track: _Track) -> list[Position]:
        return sorted(track.scores)[-self._finals_per_track :]

    def _add_window(self, session: _Session, record: ScoreRecord | ExplanationRecord, value: bytes) -> None:
        key = TrackKey(SessionKey(record.tenant, record.session), record.track)
        track = session.tracks.setdefault(key.track, _Track())
        records = track.scores if isinstance(record, ScoreRecord) else track.explanations
        position = (record.epoch, record.end_ms)
        if position in records:
            self._compare(record.window_id, records[position], value)
            return
        records[position] = value
        self._forget_oldest(records)

    def _add_alert(self, session: _Session, record: AlertRecord, value: bytes) -> None:
        alerts = session.tracks.setdefault(TrackKey(SessionKey(record.tenant, record.session), record.track).track, _Track()).alerts
        of_window = alerts.setdefault((record.epoch, record.end_ms), {})
        if record.alert_id in of_window:
            self._compare(record.alert_id, of_window[record.alert_id], value)
            return
        of_window[record.alert_id] = value
        self._forget_oldest(alerts)

    def _forget_oldest(self, records: dict[Position, Any]) -> None:
        # Only at twice the number, so that records are not sorted each time one is added.
        if len(records) > 2 * self._finals_per_track:
            for old in sorted(records)[: -self._finals_per_track]:
                del records[old]

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
