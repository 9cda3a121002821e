"""Bearer tokens of an identity provider: signature, issuer, audience and times are checked; claims become roles and tenants."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from stream.config.gateway_settings import GatewaySettings
from stream.domain.identity import check_name
from stream.gateway.access_file import ALL

log = structlog.get_logger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Signatures with a public key. `none`, and secrets that both sides know, are refused."""
LEEWAY_S = 30
"""How far the issuer's clock may be off."""
LONGEST = 16_384
LARGEST_KEYS = 512 * 1024
FETCH_S = 5.0
FRESH_S = 600.0
"""Keys from an address are fetched again after this time."""
AGAIN_S = 30.0
"""And after this time, if a token names a key that is not among them."""
OLDEST_S = 24 * 3600.0
"""While the address is away, keys are used for this long."""


class KeysAwayError(Exception):
    """The issuer's keys cannot be read now; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of its bearer.

    Attributes:
        name: `sub`.
        roles: Names of roles, known or not.
        tenants: Names of tenants; None for all.
        expires_at_ms: Unix ms.
    """

    name: str
    roles: tuple[str, ...]
    tenants: frozenset[str] | None
    expires_at_ms: int


class IssuerKeys:
    """The public keys of the issuer.

    Args:
        file: Their file; it is read again when it changes.
        url: Their address, without a file.
        clock: Seconds that only rise.
    """

    def __init__(self, file: Path | None, url: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._url = url
        self._clock = clock
        self._keys: KeySet | None = None
        self._stamp: tuple[int, int] | None = None
        self._fetched_s = self._tried_s = float("-inf")
        self._fetching = asyncio.Lock()

    async def get(self, key_id: str | None) -> KeySet:
        """The keys, which hold the one with this id if the issuer has it. Raises `KeysAwayError`."""
        if self._file is not None:
            return self._from_file(self._file)
        async with self._fetching:
            age_s, since_try_s = self._clock() - self._fetched_s, self._clock() - self._tried_s
            unknown = self._keys is None or (key_id is not None and all(key.kid != key_id for key in self._keys.keys))
            if (unknown and since_try_s >= AGAIN_S) or (age_s >= FRESH_S and since_try_s >= AGAIN_S):
                await self._fetch(str(self._url))
                age_s = self._clock() - self._fetched_s
            if self._keys is None or age_s >= OLDEST_S:
                raise KeysAwayError("the keys of the identity provider cannot be read; see gateway.oidc_jwks_url")
            return self._keys

    def _from_file(self, file: Path) -> KeySet:
        try:
            found = file.stat()
            if self._keys is None or (found.st_mtime_ns, found.st_size) != self._stamp:
                self._keys = _key_set(file.read_bytes())
                self._stamp = found.st_mtime_ns, found.st_size
        except (OSError, ValueError, JoseError) as error:
            log.error("issuer_keys_not_read", error=type(error).__name__, what="correct the file gateway.oidc_jwks_file")
            if self._keys is None:
                raise KeysAwayError("the keys of the identity provider cannot be read; see gateway.oidc_jwks_file") from None
        return self._keys

    async def _fetch(self, url: str) -> None:
        self._tried_s = self._clock()
        try:
            timeout = aiohttp.ClientTimeout(total=FETCH_S)
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, allow_redirects=False) as response:
                response.raise_for_status()
                content = await response.content.read(LARGEST_KEYS)
                if not response.content.at_eof():
                    raise ValueError("too large")
            self._keys = _key_set(content)
            self._fetched_s = self._clock()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, JoseError) as error:
            log.warning("issuer_keys_not_fetched", error=type(error).__name__, what="is gateway.oidc_jwks_url right, and reachable?")


def _key_set(content: bytes) -> KeySet:
    if len(content) > LARGEST_KEYS:
        raise ValueError("too large")
    found = json.loads(content)
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list):
        raise ValueError("not a set of keys")
    public = [key for key in keys if isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"]
    if not public:
        raise ValueError("no public key")
    return KeySet.import_key_set({"keys": public})


class Issuer:
    """Checks tokens.

    Args:
        settings: Which issuer, and which claims.
        keys: Its keys.
        now_s: Unix time in seconds.
    """

    def __init__(self, settings: GatewaySettings, keys: IssuerKeys, now_s: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._keys = keys
        self._now_s = now_s

    async def check(self, token: str) -> Claims | None:
        """What a token says; None if it is not one of this issuer for us, or is not valid now. Raises `KeysAwayError`."""
        if len(token) > LONGEST or not token.isascii():
            return None
        try:
            keys = await self._keys.get(_key_id(token))
            decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
            registry = jwt.JWTClaimsRegistry(
                now=int(self._now_s()),
                leeway=LEEWAY_S,
                iss={"essential": True, "value": str(self._settings.oidc_issuer)},
                aud={"essential": True, "value": str(self._settings.oidc_audience)},
                exp={"essential": True},
                sub={"essential": True},
            )
            registry.validate(decoded.claims)
            return self._claims(decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError):
            return None

    def _claims(self, claims: Mapping[str, Any]) -> Claims:
        tenants = _names(_at(claims, self._settings.oidc_tenants_claim))
        seen = None if ALL in tenants else frozenset(check_name("tenant", name) for name in tenants)
        name = str(claims["sub"])[:128]
        if not name.isprintable():
            raise ValueError("an unprintable name")
        return Claims(name, _names(_at(claims, self._settings.oidc_roles_claim)), seen, int(claims["exp"]) * 1000)


def _key_id(token: str) -> str | None:
    header = token.partition(".")[0]
    try:
        found = json.loads(_unpadded(header))
    except ValueError:
        return None
    kid = found.get("kid") if isinstance(found, dict) else None
    return kid if isinstance(kid, str) else None


def _unpadded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _at(claims: Mapping[str, Any], path: str) -> Any:
    found: Any = claims
    for part in [path] if path in claims else path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _names(value: Any) -> tuple[str, ...]:
    """A claim is a list of names, or a text with blanks or commas between them."""
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else ()
