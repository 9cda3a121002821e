"""Names of all keys and channels in Redis. They are built here and nowhere else.

Keys of one session share the hash tag ``{tenant/session}``, so that one Lua call can touch them all on Redis Cluster. Names of
tenants, sessions and tracks have passed `stream.domain.identity.check_name`: they contain no braces, colons or glob characters.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.domain.identity import SessionKey, TrackKey, check_name

PREFIX = "sentistream"

SESSIONS = f"{PREFIX}:sessions"
"""Sorted set of the active sessions: tenant/session by wall clock (Unix ms) of its last result."""

FENCE = f"{PREFIX}:fence"
"""Counter that fencing tokens are taken from."""

MODELS = f"{PREFIX}:models"
"""Hash: ``current`` is the version of ``mmci`` that new epochs get, ``previous`` the one before it, ``at_ms`` when it was promoted."""

REVEAL = f"{PREFIX}:reveal"
"""Hash: ``report`` is what the probes of the live stream have shown, ``HOUR:WORKER`` the sums of a worker in an hour."""

NUDGES = f"{PREFIX}:{{*}}:nudge"
"""Pattern of all sessions' nudge channels."""


WORKERS = f"{PREFIX}:workers"
"""Hash: a worker's random name → what it last said of itself."""

QUEUES = f"{PREFIX}:queues"
"""Set of the tenants that have a moderation queue."""


PROBED = (f"{PREFIX}:{{probe}}:state", f"{PREFIX}:{{probe}}:scores")
"""Keys that belong to no session, whose name would hold a slash: a user's rights are tried on them."""


@dataclass(frozen=True, slots=True)
class TrackNames:
    """Keys of one track.

    Attributes:
        scores: Stream of final windows, id = ``EPOCH-WINDOW_END``, field ``record``.
        explanations: Stream of explanations with the same ids.
        latest: Hash of the newest final window.
        partial: Hash of the partial result of the newest open window.
        context: List of the contributions of the newest final windows to the context of later windows, newest first.
    """

    scores: str
    explanations: str
    latest: str
    partial: str
    context: str


@dataclass(frozen=True, slots=True)
class SessionNames:
    """Keys and channel of one session.

    Attributes:
        state: Hash. ``token`` is the highest fencing token seen. For each track, ``last:TRACK`` is the last final window, ``sync:TRACK``
            are its clock skews at that window, ``scored:TRACK`` is what its later scores are compared with, and ``rules:TRACK`` is the
            state of the alert rules at that window. ``epoch:EPOCH`` is an assignment: the declared epoch and the wall clock at which its
            media began; ``model:EPOCH`` is the version of ``mmci`` that scores the epoch.
            ``consent:EPOCH:TRACK:MEDIA_MS:GRANTED`` is what was said about the consent of a track (``*``: of all) from a media time on:
            1 for a consent, 0 for a withdrawal; its value is the media time from which it holds. ``erased`` is when the session was
            erased (Unix ms): then nothing but that and the token is there.
        tracks: Set of the session's tracks.
        alerts: Stream of the alerts of all tracks, field ``record``. Its ids are times of Redis: an alert is appended with its window.
        summary: Hash with the session's summary.
        nudge: Pub/sub channel that announces new results.
    """

    state: str
    tracks: str
    alerts: str
    summary: str
    nudge: str


def session_names(session: SessionKey) -> SessionNames:
    """Keys of a session as a whole."""
    base = f"{PREFIX}:{{{session}}}"
    return SessionNames(
        state=f"{base}:state", tracks=f"{base}:tracks", alerts=f"{base}:alerts", summary=f"{base}:summary", nudge=f"{base}:nudge"
    )


def track_names(track: TrackKey) -> TrackNames:
    """Keys of one track of a session."""
    base = f"{PREFIX}:{{{track.session}}}:{track.track}"
    return TrackNames(
        scores=f"{base}:scores",
        explanations=f"{base}:explanations",
        latest=f"{base}:latest",
        partial=f"{base}:partial",
        context=f"{base}:past",
    )


@dataclass(frozen=True, slots=True)
class QueueNames:
    """Keys of a tenant's moderation queue. Their hash tag has no slash, so they are no session's.

    Attributes:
        alerts: Hash: alert id → the alert that was raised.
        statuses: Hash: alert id → what people have done about it.
        cleared: Hash: alert id → when its condition ended (Unix ms).
        added: Sorted set: alert id by when it was raised (Unix ms).
        waiting: Sorted set of the undecided cases, by severity, then age.
        claims: Sorted set: alert id by the end of its claim (Unix ms).
        snoozes: Sorted set: alert id by the end of its snooze (Unix ms).
        decided: Sorted set: alert id by when it was decided (Unix ms).
        unpublished: Sorted set: alert id of a decision by when it may be published (Unix ms).
        audit: Stream of the audit trail, id = ``SEQUENCE-0``.
        trail: Hash. ``sequence`` and ``hash`` of the newest entry of the trail; ``cut`` and ``cut_hash`` of the newest removed one.
        left_out: HyperLogLog of the alerts that were not added, because the queue was full; expires.
        relay: Who publishes the decisions; expires.
    """

    alerts: str
    statuses: str
    cleared: str
    added: str
    waiting: str
    claims: str
    snoozes: str
    decided: str
    unpublished: str
    audit: str
    trail: str
    left_out: str
    relay: str

    @property
    def expiring(self) -> tuple[str, ...]:
        """The keys that live as long as results. The trail outlives them."""
        return (
            self.alerts,
            self.statuses,
            self.cleared,
            self.added,
            self.waiting,
            self.claims,
            self.snoozes,
            self.decided,
        )


def queue_names(tenant: str) -> QueueNames:
    """Keys of a tenant's moderation queue."""
    base = f"{PREFIX}:{{{check_name('tenant', tenant)}}}"
    return QueueNames(**{name: f"{base}:queue-{name.replace('_', '-')}" for name in QueueNames.__dataclass_fields__})


def session_of_nudge(channel: str) -> SessionKey:
    """The session that a nudge channel belongs to. Raises ``ValueError``."""
    return SessionKey.parse(channel.partition("{")[2].partition("}")[0])


def verdict_key(verdict_id: str) -> str:
    """Key of a verdict that can still be taken back."""
    return f"{PREFIX}:verdict:{verdict_id}"


@dataclass(frozen=True, slots=True)
class WebhookNames:
    """Keys of the messages of one webhook.

    Attributes:
        due: Sorted set of the messages to send: id by the wall clock (Unix ms) at which it is tried next.
        dead: Sorted set of the messages that are given up: id by the wall clock at which that happened.
        messages: Hash of both: id to message.
        state: Hash: ``delivered``, ``dropped``, ``gone_ms``, ``last_ok_ms``, ``last_error``, ``last_error_ms``.
    """

    due: str
    dead: str
    messages: str
    state: str


WEBHOOK_LEASE = f"{PREFIX}:{{webhooks}}:lease"
"""Which gateway sends webhooks now."""
WEBHOOK_POSITIONS = f"{PREFIX}:{{webhooks}}:positions"
"""Hash: for each session, up to where its results have become messages; ``*`` is there once the first position was taken."""


def webhook_names(name: str) -> WebhookNames:
    """Keys of one webhook; all webhooks share a hash tag."""
    base = f"{PREFIX}:{{webhooks}}:{name}"
    return WebhookNames(due=f"{base}:due", dead=f"{base}:dead", messages=f"{base}:messages", state=f"{base}:state")
