"""Names that come from outside: tenants, sessions, tracks and roles.

They become parts of Kafka keys, Redis keys and terminal output. So each of them is checked, here and only here, against one strict pattern.
"""

from __future__ import annotations

import re

import msgspec

NAME_PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_-])?"
_NAME = re.compile(NAME_PATTERN, re.ASCII)


def check_name(kind: str, value: str) -> str:
    """Return ``value`` if it is a safe name, else raise ``ValueError``.

    The message never repeats the value: it goes to logs and terminals, for which an unchecked name is not safe.

    Args:
        kind: What the name is for, for the message: ``"session"``, ``"track"``…
        value: 1 to 64 ASCII letters, digits, ``_``, ``.`` or ``-``; a letter or digit first, no dot last.
    """
    if not _NAME.fullmatch(value):
        raise ValueError(f"{kind} must be 1 to 64 letters, digits, '_', '.' or '-', a letter or digit first")
    return value


class SessionKey(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """Names a session: the conversation of all its tracks, under one tenant."""

    tenant: str
    session: str

    def __post_init__(self) -> None:
        check_name("tenant", self.tenant)
        check_name("session", self.session)

    def __str__(self) -> str:
        return f"{self.tenant}/{self.session}"

    @classmethod
    def parse(cls, text: str) -> SessionKey:
        """Read ``tenant/session``, the form of every Kafka key. Raises ``ValueError``."""
        tenant, slash, session = text.partition("/")
        if not slash:
            raise ValueError("a key is tenant/session")
        return cls(tenant, session)


class TrackKey(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """Names a track: one participant (or channel) of a session, the unit that is scored."""

    session: SessionKey
    track: str

    def __post_init__(self) -> None:
        check_name("track", self.track)

    def __str__(self) -> str:
        return f"{self.session}/{self.track}"
