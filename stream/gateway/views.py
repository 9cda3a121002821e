"""What the API answers: the shapes of its JSON. Absent fields have their default, so that a batch of many sessions stays small."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from stream.domain.alert import AlertRecord
from stream.domain.modality import Modality
from stream.domain.permission import Permission
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord, SessionRecord

Item = TypeVar("Item")

Point = tuple[int, float | None]
"""End of a final window (media time, ms) and its score; None for a window without a score."""

HISTORY = 60
"""Most points of a track's line."""


class SessionPhase(StrEnum):
    """Where a session stands."""

    LIVE = "live"
    """Results come."""
    QUIET = "quiet"
    """No result for `gateway.quiet_after_s`, and no summary."""
    ENDED = "ended"
    """Its summary is there."""


class Page(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """A part of a list.

    Attributes:
        items: The part.
        next: Pass it as `cursor` to get the part after this one; None after the last.
        stale_since_ms: Wall clock (Unix ms) since which Redis does not answer: the items are of that time. None if they are of now.
    """

    items: tuple[Item, ...]
    next: str | None = None
    stale_since_ms: int | None = None


class TrackState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest result of a track, final or partial, and its line.

    Attributes:
        window_id: The window of the newest result, ``tenant/session/track/EPOCH-END``.
        is_final: Whether that result is final.
        score: In [-3, 3]; None if there was nothing to score.
        label: ``negative``, ``neutral`` or ``positive``.
        confidence: Calibrated probability of the label.
        arousal: In [0, 1]; None without a voice.
        sentence: Why, of the newest final window. Without the permission `words` it quotes nobody.
        end_ms: End of the window (media time).
        media_end_at_ms: Wall clock at which the window's last media was captured, if known.
        speaking: Whether the window has words or a voice.
        history: The last `HISTORY` points. In batches of a stream, only new points: append those that end later
            than the last that you have.
        session_mean: Mean score of the final windows of the present epoch that the gateway has seen.
        trend: Mean of the newest third of `history` minus that of its oldest third; None for fewer than three scores.
    """

    track: str
    role: str
    window_id: str
    end_ms: int
    is_final: bool
    score: float | None = None
    label: str | None = None
    confidence: float | None = None
    arousal: float | None = None
    sentence: str = ""
    media_end_at_ms: int | None = None
    speaking: bool = False
    modalities_present: tuple[Modality, ...] = ()
    modalities_expected: tuple[Modality, ...] = ()
    withheld: dict[str, str] = {}
    warnings: tuple[str, ...] = ()
    history: tuple[Point, ...] = ()
    session_mean: float | None = None
    trend: float | None = None


class OpenAlert(msgspec.Struct, frozen=True, kw_only=True):
    """The worst alert that is raised and not cleared."""

    alert_id: str
    rule: str
    title: str
    severity: str
    since_at_ms: int


class SessionState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session as the board shows it.

    Attributes:
        epoch: The newest epoch with a result.
        last_result_at_ms: Wall clock (Unix ms) of its last result.
        tracks: By name.
        alert: The worst open alert; None if there is none, and without the permission `alerts`.
        summary: Of the newest epoch that has ended.
    """

    tenant: str
    session: str
    state: SessionPhase
    last_result_at_ms: int
    epoch: int
    tracks: tuple[TrackState, ...] = ()
    alert: OpenAlert | None = None
    summary: SessionRecord | None = None


class WindowResult(msgspec.Struct, frozen=True, kw_only=True):
    """A final window: its score and, unless it has expired, why."""

    score: ScoreRecord
    explanation: ExplanationRecord | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The event ``batch`` of a stream: what is new since the batch before. Absent lists are empty.

    Attributes:
        at_ms: Wall clock (Unix ms) of the batch.
        sessions: Sessions that changed.
        scores: New final windows. In the stream of all sessions only with `records=true`.
        partials: The newest partial result of each track that has one. Only in the stream of one session.
        explanations: Those of `scores`. Only in the stream of one session.
        alerts: Raised and cleared with these windows. Only with the permission `alerts`.
        summaries: Of epochs that have ended.
    """

    at_ms: int
    sessions: tuple[SessionState, ...] = ()
    scores: tuple[ScoreRecord, ...] = ()
    partials: tuple[PartialRecord, ...] = ()
    explanations: tuple[ExplanationRecord, ...] = ()
    alerts: tuple[AlertRecord, ...] = ()
    summaries: tuple[SessionRecord, ...] = ()


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The event ``hello``, first of every stream.

    Attributes:
        server_time_ms: Wall clock of the gateway (Unix ms).
        resumed: Whether the stream continues exactly where `Last-Event-ID` stopped.
    """

    server_time_ms: int
    resumed: bool


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """The event ``gap``: something is missing in the stream, so load the snapshot again.

    Attributes:
        reason: ``unknown_position`` (of another gateway, or unreadable), ``expired`` (no longer kept), ``slow`` (the viewer read too
            slowly) or ``erased`` (a session that the viewer has seen is no longer there).
    """

    reason: str


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """The event ``stale``: whether the stream stands still because Redis does not answer.

    Attributes:
        since_ms: Wall clock (Unix ms) since which it does not answer; None if it answers again.
        reason: What is wrong, for people; empty if nothing is.
    """

    since_ms: int | None = None
    reason: str = ""


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking, and what they may do.

    Attributes:
        name: Name of the token or of the user.
        tenants: Names of the tenants that they see; None for all.
        permissions: Sorted.
        open: Whether this gateway lets everybody in, because it has neither tokens nor an issuer.
        uploads: Whether recordings can be sent here.
        expires_at_ms: End of the browser's session (Unix ms); None without one.
    """

    name: str
    tenants: tuple[str, ...] | None
    permissions: tuple[Permission, ...]
    open: bool = False
    uploads: bool = False
    expires_at_ms: int | None = None


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token to log in with."""

    token: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every error answers (RFC 9457, ``application/problem+json``).

    Attributes:
        type: Names the kind of problem.
        title: The kind, in words.
        status: The status of the answer.
        detail: What to do.
    """

    type: str
    title: str
    status: int
    detail: str = ""
