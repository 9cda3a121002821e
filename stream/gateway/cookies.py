"""The session cookie of a browser: signed, and with an end. It says whose session it is, and never holds a token."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

NAME = "sentistream_session"
ALGORITHM = "HS256"
LONGEST_VALUE = 3800
"""Browsers drop a cookie of more than 4096 bytes without a word; its name and attributes count, too."""
_OF_TOKEN, _OF_ISSUER = "token", "issuer"


@dataclass(frozen=True, slots=True)
class CookieSession:
    """Whose session it is.

    Attributes:
        name: Name of the token, or of the issuer's user.
        expires_at_ms: Unix ms.
        fingerprint: Of the token's entry; None for a user of the issuer.
        roles: Names of the user's roles.
        tenants: The user's tenants; None for all.
    """

    name: str
    expires_at_ms: int
    fingerprint: str | None = None
    roles: tuple[str, ...] = ()
    tenants: frozenset[str] | None = frozenset()


class Cookies:
    """Signs and reads cookies.

    Args:
        secret: What signs them; None for a new secret.
    """

    def __init__(self, secret: str | None) -> None:
        self._key = OctKey.import_key(secret.encode("utf-8") if secret is not None else secrets.token_bytes(32))

    def write(self, session: CookieSession) -> str:
        """The value of the cookie."""
        claims: dict[str, object] = {"sub": session.name, "exp": session.expires_at_ms // 1000}
        if session.fingerprint is not None:
            claims |= {"by": _OF_TOKEN, "entry": session.fingerprint}
        else:
            tenants = None if session.tenants is None else sorted(session.tenants)
            claims |= {"by": _OF_ISSUER, "roles": list(session.roles), "tenants": tenants}
        return jwt.encode({"alg": ALGORITHM}, claims, self._key)

    def read(self, value: str, now_ms: int) -> CookieSession | None:
        """Whose session a cookie is of; None if it is not signed by us, or over."""
        if len(value) > LONGEST_VALUE:
            return None
        try:
            claims = jwt.decode(value, self._key, algorithms=[ALGORITHM]).claims
            name, expires_at_ms = str(claims["sub"]), int(claims["exp"]) * 1000
            if expires_at_ms <= now_ms:
                return None
            if claims["by"] == _OF_TOKEN:
                return CookieSession(name, expires_at_ms, str(claims["entry"]))
            return CookieSession(name, expires_at_ms, None, _texts(claims["roles"]), _tenants(claims["tenants"]))
        except (JoseError, ValueError, TypeError, KeyError):
            return None


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    return tuple(map(str, values))


def _tenants(values: Sequence[object] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(map(str, values))
