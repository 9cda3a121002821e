"""Names of everything in Redis, built here and nowhere else.

Keys of one session share the hash tag ``{tenant/session}``, so that one Lua call may touch them all on Redis Cluster. Names of
tenants, sessions and tracks passed `stream.domain.identity.check_name`: they hold no braces, colons or glob characters.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.domain.identity import SessionKey, TrackKey

PREFIX = "sentistream"

SESSIONS = f"{PREFIX}:sessions"
"""Sorted set: tenant/session by wall clock (Unix ms) of its last result."""

FENCE = f"{PREFIX}:fence"
"""Counter that fencing tokens come from."""

NUDGES = f"{PREFIX}:{{*}}:nudge"
"""Pattern of all sessions' nudge channels."""


@dataclass(frozen=True, slots=True)
class TrackNames:
    """Keys of one track.

    Attributes:
        scores: Stream of finals, id = ``EPOCH-WINDOW_END``, field ``record``.
        explanations: Stream of explanations with the same ids.
        latest: Hash of the newest final window.
        partial: Hash of the newest unfinished window.
        past: List of what the newest final windows left for later ones, the newest first.
    """

    scores: str
    explanations: str
    latest: str
    partial: str
    past: str


@dataclass(frozen=True, slots=True)
class SessionNames:
    """Keys and channel of one session.

    Attributes:
        state: Hash with the highest fencing ``token`` seen, for each track its last final window, ``last:TRACK``, and the clock
            skews as of that, ``sync:TRACK``, and for each media clock that workers numbered where it began, ``epoch:EPOCH``.
        tracks: Set of the session's tracks.
        summary: Hash with the session's summary.
        nudge: Pub/sub channel on which something new is announced.
    """

    state: str
    tracks: str
    summary: str
    nudge: str


def session_names(session: SessionKey) -> SessionNames:
    """Everything that belongs to a session as a whole."""
    base = f"{PREFIX}:{{{session}}}"
    return SessionNames(state=f"{base}:state", tracks=f"{base}:tracks", summary=f"{base}:summary", nudge=f"{base}:nudge")


def track_names(track: TrackKey) -> TrackNames:
    """Everything that belongs to one track of a session."""
    base = f"{PREFIX}:{{{track.session}}}:{track.track}"
    return TrackNames(
        scores=f"{base}:scores",
        explanations=f"{base}:explanations",
        latest=f"{base}:latest",
        partial=f"{base}:partial",
        past=f"{base}:past",
    )


def session_of_nudge(channel: str) -> SessionKey:
    """The session that a nudge channel belongs to. Raises ``ValueError``."""
    return SessionKey.parse(channel.partition("{")[2].partition("}")[0])
