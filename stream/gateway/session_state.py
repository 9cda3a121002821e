"""The state of each session, from the records of the reader. Pure: the caller gives the times."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from stream.domain.identity import SessionKey
from stream.domain.result import ExplanationRecord, PartialRecord, Record, ScoreRecord, SessionRecord
from stream.explain.text_view import without_text
from stream.gateway.disclosure import Disclosed
from stream.gateway.views import HISTORY, Point, SessionPhase, SessionState, TrackState

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
        self._sent: dict[str, int] = {}

    def add(self, record: Record, at_ms: int) -> None:
        """Add a record, and the wall clock (Unix ms) of its arrival."""
        self.last_result_at_ms = max(self.last_result_at_ms, at_ms)
        self.epoch = max(self.epoch, record.epoch)
        match record:
            case SessionRecord():
                self.summary = record
            case ExplanationRecord():
                if track := self._tracks.get(record.track):
                    track.sentence, track.sentence_without_text = record.sentence, without_text(record).sentence
            case ScoreRecord():
                self._add_score(record)

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
