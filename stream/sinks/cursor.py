"""The position of a reader in one session. It picks the new records, in order, each once. Pure: the caller reads Redis.

Stream ids rise with (epoch, end of the window), so the id of the last entry read is the whole position: after an outage or a restart of
Redis, reading continues behind it, without a gap and without a repeat.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stream.domain.alert import AlertRecord
from stream.domain.identity import SessionKey
from stream.domain.result import Record

Entry = tuple[str, Record]
"""Stream id (``EPOCH-WINDOW_END``) and record."""

START = "0-0"

Alerts = dict[str, deque[AlertRecord]]
"""Alerts of a track, by the stream id of their window."""


@dataclass(frozen=True, slots=True)
class TrackAnswer:
    """New entries of a track's streams and its partial result, read in one transaction."""

    scores: Sequence[Entry]
    explanations: Sequence[Entry]
    partial: Record | None
    more: bool
    """Whether the streams hold more entries than were read."""


@dataclass
class TrackCursor:
    """Position in a track's streams, and the last partial result that was returned."""

    last_id: str = START
    partial: Record | None = None

    def __post_init__(self) -> None:
        self._began_after = _position(self.last_id)

    def advance(self, answer: TrackAnswer, alerts: Alerts) -> Iterator[Record]:
        """Score, explanation and alerts of each new final window in order, then the partial result if it has changed.

        Alerts that are returned are removed. Those of windows that the stream does not hold any more come last, but not those of windows
        before the position at which reading began.

        While there are more final windows to read, the partial result is held back: it belongs to a later window than theirs.
        """
        explanations = dict(answer.explanations)
        for entry_id, score in answer.scores:
            self.last_id = entry_id
            yield score
            if entry_id in explanations:
                yield explanations[entry_id]
            yield from _drained(alerts, entry_id)
        if not answer.more:
            for entry_id in sorted(alerts, key=_position):
                if _position(entry_id) > self._began_after:
                    yield from _drained(alerts, entry_id)
            alerts.clear()
        if not answer.more and answer.partial is not None and answer.partial != self.partial:
            self.partial = answer.partial
            yield answer.partial


def _drained(alerts: Alerts, entry_id: str) -> Iterator[Record]:
    """The alerts of a window. Each is removed before it is returned: whoever stops in between gets the others next time."""
    while of_window := alerts.get(entry_id):
        yield of_window.popleft()
    alerts.pop(entry_id, None)


def _position(entry_id: str) -> tuple[int, int]:
    epoch, end_ms = entry_id.split("-")
    return int(epoch), int(end_ms)


@dataclass(slots=True)
class SessionCursor:
    """Position in a session.

    Attributes:
        session: The session.
        tracks: Position in each known track.
        alerts_id: Stream id of the last alert that was read.
        alerts: By track, alerts whose windows were not returned yet.
        summary: The last summary that was returned.
        changed: Whether the session has to be read again.
        active_ms: Wall clock (Unix ms) of the session's last known activity.
    """

    session: SessionKey
    tracks: dict[str, TrackCursor] = field(default_factory=dict)
    alerts_id: str = START
    alerts: dict[str, Alerts] = field(default_factory=dict)
    summary: Record | None = None
    changed: bool = True
    active_ms: int = 0

    def take_alerts(self, entries: Sequence[Entry]) -> None:
        """Keep new entries of the session's stream of alerts until their windows are returned."""
        for entry_id, alert in entries:
            self.alerts_id = entry_id
            if isinstance(alert, AlertRecord):
                of_track = self.alerts.setdefault(alert.track, {})
                of_track.setdefault(f"{alert.epoch}-{alert.end_ms}", deque()).append(alert)
