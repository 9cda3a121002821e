"""The state of each session, from the records of the reader. Pure: the caller gives the times."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from stream.domain.alert import AlertMode, AlertRecord, AlertState, Severity
from stream.domain.identity import SessionKey
from stream.domain.result import ExplanationRecord, PartialRecord, Record, ScoreRecord, SessionRecord
from stream.explain.text_view import without_text
from stream.gateway.disclosure import Disclosed
from stream.gateway.views import HISTORY, OpenAlert, Point, SessionPhase, SessionState, TrackState

SHORTEST_TREND = 3


@dataclass(slots=True)
class _Track:
    newest: ScoreRecord
    sentence: str = ""
    sentence_without_text: str = ""
    history: deque[Point] = field(default_factory=lambda: deque(maxlen=HISTORY))
    finals: int = 0
    """Final windows so far: the number of the newest point."""
    total: float = 0.0
    scored: int = 0
    epoch: int = -1


class LiveSession:
    """What the gateway knows of one session.

    Args:
        key: The session.
    """

    def __init__(self, key: SessionKey) -> None:
        self.key = key
        self.epoch = -1
        self.last_result_at_ms = 0
        self.summary: SessionRecord | None = None
        self._tracks: dict[str, _Track] = {}
        self._alerts: dict[str, tuple[AlertRecord, int]] = {}
        """Open alerts and their arrival, by their id."""
        self._sent: dict[str, int] = {}

    def add(self, record: Record, at_ms: int) -> None:
        """Add a record, and the wall clock (Unix ms) of its arrival."""
        self.last_result_at_ms = max(self.last_result_at_ms, at_ms)
        self.epoch = max(self.epoch, record.epoch)
        match record:
            case SessionRecord():
                self.summary = record
            case AlertRecord():
                self.add_alert(record, at_ms)
            case ExplanationRecord():
                if track := self._tracks.get(record.track):
                    track.sentence, track.sentence_without_text = record.sentence, without_text(record).sentence
            case ScoreRecord():
                self._add_score(record)

    def add_alert(self, alert: AlertRecord, at_ms: int) -> None:
        """Add an alert, and the wall clock (Unix ms) of its arrival. One that was added before changes nothing."""
        if alert.mode is AlertMode.SHADOW:
            return
        if alert.state is AlertState.CLEARED:
            self._alerts.pop(alert.raised_id, None)
        elif alert.epoch >= self.epoch:
            self._alerts = {known: open_alert for known, open_alert in self._alerts.items() if open_alert[0].epoch >= self.epoch}
            self._alerts.setdefault(alert.raised_id, (alert, at_ms))

    def _worst(self) -> OpenAlert | None:
        """The most severe open alert of the present epoch; of several, the oldest."""
        still_open = [found for found in self._alerts.values() if found[0].epoch == self.epoch]
        if not still_open:
            return None
        severities = list(Severity)
        worst, arrived_at_ms = max(still_open, key=lambda found: (severities.index(found[0].severity), -found[0].end_ms))
        return OpenAlert(
            alert_id=worst.alert_id,
            rule=worst.rule,
            title=worst.title,
            severity=worst.severity,
            since_at_ms=worst.at_ms if worst.at_ms is not None else arrived_at_ms,
        )

    def _add_score(self, record: ScoreRecord) -> None:
        track = self._tracks.setdefault(record.track, _Track(record))
        track.newest = record
        if isinstance(record, PartialRecord):
            return
        if record.epoch != track.epoch:
            # Media time starts again, and so does the line.
            track.epoch, track.total, track.scored = record.epoch, 0.0, 0
            track.history.clear()
        track.history.append((record.end_ms, record.score))
        track.finals += 1
        if record.score is not None:
            track.total += record.score
            track.scored += 1

    def phase(self, now_ms: int, quiet_after_ms: int) -> SessionPhase:
        """Where the session stands at a time (Unix ms)."""
        if self.summary is not None and self.summary.epoch >= self.epoch:
            return SessionPhase.ENDED
        return SessionPhase.QUIET if now_ms - self.last_result_at_ms >= quiet_after_ms else SessionPhase.LIVE

    def mark_sent(self) -> None:
        """The points so far have been sent in a batch."""
        self._sent = {name: track.finals for name, track in self._tracks.items()}

    def state(self, phase: SessionPhase, disclosed: Disclosed, *, new_points_only: bool = False) -> SessionState:
        """The session as somebody may see it.

        Args:
            phase: Where it stands.
            disclosed: What they may see.
            new_points_only: Whether lines have only the points since `mark_sent`.
        """
        return SessionState(
            tenant=self.key.tenant,
            session=self.key.session,
            state=phase,
            epoch=max(self.epoch, 0),
            last_result_at_ms=self.last_result_at_ms,
            alert=self._worst() if disclosed.alerts and phase is not SessionPhase.ENDED else None,
            tracks=tuple(self._track(name, disclosed, new_points_only) for name in sorted(self._tracks)),
            summary=self.summary,
        )

    def _track(self, name: str, disclosed: Disclosed, new_points_only: bool) -> TrackState:
        track = self._tracks[name]
        newest, points = track.newest, tuple(track.history)
        if new_points_only:
            new = track.finals - self._sent.get(name, 0)
            shown = points[-new:] if new else ()
        else:
            shown = points
        return TrackState(
            track=name,
            role=newest.role,
            window_id=newest.window_id,
            end_ms=newest.end_ms,
            is_final=newest.is_final,
            score=newest.score,
            label=newest.label,
            confidence=newest.confidence,
            arousal=newest.arousal,
            sentence=track.sentence if disclosed.words else track.sentence_without_text,
            media_end_at_ms=newest.media_end_at_ms,
            speaking="text" in newest.modalities_present or "audio" in newest.modalities_present,
            modalities_present=newest.modalities_present,
            modalities_expected=newest.modalities_expected,
            withheld={str(modality): str(reason) for modality, reason in newest.withheld.items()},
            warnings=newest.warnings,
            history=shown,
            session_mean=None if not track.scored else track.total / track.scored,
            trend=trend([score for _, score in points if score is not None]),
        )


def trend(scores: list[float]) -> float | None:
    """Mean of the newest third of scores minus that of the oldest third; None for fewer than three."""
    if len(scores) < SHORTEST_TREND:
        return None
    third = len(scores) // 3
    return sum(scores[-third:]) / third - sum(scores[:third]) / third
