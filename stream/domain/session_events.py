"""Start, heartbeat, consent and end of a session: the records of the ``sessions`` topic."""

from __future__ import annotations

from typing import Annotated

import msgspec

from stream.domain.chunk import MAX_NUMBER
from stream.domain.identity import SessionKey, check_name
from stream.domain.media_format import MAX_SESSION_MS
from stream.domain.modality import Modality

MAX_TRACKS = 32
"""Most tracks of a session: it bounds the memory and the encoders that one session can take."""


Epoch = Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)]
MediaMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_SESSION_MS)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)]
"""Bounds that are checked when an event is read."""


MAX_EVENTS = 256
"""Most starts, consents and ends of one epoch: a worker holds them until the epoch is over."""

Language = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$")]
"""A language tag, such as ``en`` or ``de-AT`` (BCP 47). Only its first part counts."""


class TrackPlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A track that a session will have: its role and the modalities to wait for.

    Attributes:
        track: Name of the track.
        role: Role of the speaker.
        modalities: Those that will be sent.
        consent: Whether the speaker has consented to the use of their voice and face; None: as the session.
        language: Language of the speaker; None: it is found from the words.
    """

    track: str
    role: str
    modalities: tuple[Modality, ...]
    consent: bool | None = None
    language: Language | None = None

    def __post_init__(self) -> None:
        check_name("track", self.track)
        check_name("role", self.role)


class SessionStart(msgspec.Struct, frozen=True, tag_field="event", tag="start", omit_defaults=True):
    """The session begins.

    Attributes:
        epoch: Epoch of its media clock.
        tracks: Its tracks.
        consent: Whether the people of all tracks have consented, unless a track says otherwise; None: nothing is said about it.
    """

    epoch: Epoch
    tracks: tuple[TrackPlan, ...]
    consent: bool | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.tracks) <= MAX_TRACKS:
            raise ValueError(f"a session has 1 to {MAX_TRACKS} tracks")


class SessionHeartbeat(msgspec.Struct, frozen=True, tag_field="event", tag="heartbeat"):
    """The session continues, even if no chunks arrive."""

    epoch: Epoch
    media_ms: MediaMs


class SessionConsent(msgspec.Struct, frozen=True, tag_field="event", tag="consent", omit_defaults=True):
    """Somebody consents, or withdraws their consent, from media time `media_ms` on.

    Attributes:
        epoch: Epoch of the session's media clock.
        media_ms: Media time from which it holds.
        consent: True for a consent, False for a withdrawal.
        track: Whose it is; None: of all tracks.
    """

    epoch: Epoch
    media_ms: MediaMs
    consent: bool
    track: str | None = None

    def __post_init__(self) -> None:
        if self.track is not None:
            check_name("track", self.track)


class TrackEnd(msgspec.Struct, frozen=True):
    """Number of chunks of each modality of a track."""

    track: str
    chunks: dict[Modality, Count]


class SessionEnd(msgspec.Struct, frozen=True, tag_field="event", tag="end"):
    """The session ends at media time `media_ms`. Its windows close as soon as all counted chunks have arrived."""

    epoch: Epoch
    media_ms: MediaMs
    tracks: tuple[TrackEnd, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.media_ms <= MAX_SESSION_MS:
            raise ValueError("media_ms is outside a session's media time")
        if len(self.tracks) > MAX_TRACKS:
            raise ValueError(f"a session has at most {MAX_TRACKS} tracks")


SessionEvent = SessionStart | SessionHeartbeat | SessionConsent | SessionEnd


class KeyedSessionEvent(msgspec.Struct, frozen=True):
    """A session event and the session that it belongs to.

    Attributes:
        at_ms: Wall clock (Unix ms) of the event; None if its producer did not send it.
    """

    key: SessionKey
    event: SessionEvent
    at_ms: int | None = None

    @property
    def media_start_at_ms(self) -> int | None:
        """Wall clock at which the session's media began, according to this event; None if it does not say."""
        if isinstance(self.event, SessionConsent):  # Its media time need not be that at which it was sent.
            return None
        media_ms = 0 if isinstance(self.event, SessionStart) else self.event.media_ms
        return None if self.at_ms is None else self.at_ms - media_ms
