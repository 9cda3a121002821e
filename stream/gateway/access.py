"""Finds out who asks: by a bearer token or by the cookie of a session. Without tokens and an issuer, everybody here may do everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from litestar.exceptions import ClientException, PermissionDeniedException, TooManyRequestsException

from stream.config.addresses import is_loopback
from stream.config.gateway_settings import GatewaySettings
from stream.domain.permission import Permission
from stream.gateway.access_file import TokenEntry
from stream.gateway.cookies import LONGEST_VALUE, NAME, Cookies, CookieSession
from stream.gateway.limits import RateLimit
from stream.gateway.oidc import Claims, Issuer, IssuerKeys, KeysAwayError
from stream.gateway.principal import EVERYBODY, Principal
from stream.gateway.problems import not_logged_in, unavailable
from stream.gateway.tokens import PREFIX, SEPARATOR, TokenStore

WRONG_PER_MINUTE = 20
"""Wrong tokens from one address."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = "bearer "


class Access:
    """Identifies principals.

    Args:
        settings: Who is let in.
        clock: Unix time in seconds.

    Raises:
        stream.gateway.access_file.AccessFileError: The access file is wrong.
    """

    def __init__(self, settings: GatewaySettings, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._session_ms = round(settings.session_hours * 3_600_000)
        self._origins = _origins(settings.trusted_origins or "")
        self._tokens = TokenStore(settings.access)
        self._issuer = None
        if settings.oidc_issuer is not None:
            self._issuer = Issuer(settings, IssuerKeys(settings.oidc_jwks_file, settings.oidc_jwks_url), clock)
        self._cookies = Cookies(None if settings.secret is None else settings.secret.get_secret_value())
        self._requests = RateLimit(settings.requests_per_minute)
        self._wrong = RateLimit(WRONG_PER_MINUTE)
        self._hashing = asyncio.Lock()
        self.open = settings.access is None and settings.oidc_issuer is None
        """Whether everybody is let in."""

    def now_ms(self) -> int:
        """Wall clock (Unix ms)."""
        return round(self._clock() * 1000)

    async def identify(self, headers: Mapping[str, str], cookies: Mapping[str, str], address: str) -> Principal | None:
        """Who sends a request; None if they do not show it.

        Args:
            headers: Of the request, with names in lower case.
            cookies: Of the request.
            address: Where it comes from.

        Raises:
            HTTPException: A wrong token (401), too many of them (429), a strange host (403), or the issuer's keys are away (503).
        """
        if self.open:
            _refuse_strange_hosts(headers.get("host", ""))
            return EVERYBODY
        authorization = headers.get("authorization", "")
        if authorization[: len(_BEARER)].lower() == _BEARER:
            return await self.of_token(authorization[len(_BEARER) :].strip(), address)
        if NAME in cookies and (session := self._cookies.read(cookies[NAME], self.now_ms())) is not None:
            return self._of_session(session)
        return None

    async def of_token(self, token: str, address: str) -> Principal:
        """Whose token it is. Raises as `identify`."""
        if (entry := self._tokens.recall(token, self.now_ms())) is not None:
            return self._of_entry(entry)
        if not token.startswith(PREFIX):
            return await self._tried(token, address)
        # Only hashes are dear. One after the other: of wrong ones that come at once, those above the limit must cost none.
        async with self._hashing:
            if (entry := self._tokens.recall(token, self.now_ms())) is not None:
                return self._of_entry(entry)
            if wait_s := self._wrong.would_wait_s(address, self._clock()):
                raise TooManyRequestsException("too many wrong tokens", headers={"Retry-After": str(wait_s)})
            return await self._tried(token, address)

    async def _tried(self, token: str, address: str) -> Principal:
        if (principal := await self._of_token(token)) is not None:
            return principal
        self._wrong.wait_s(address, self._clock())
        raise not_logged_in("this token is not known here, or is over")

    def count(self, principal: Principal | None, address: str) -> None:
        """Count a request. Raises 429 if there were too many."""
        asker = f"address {address}" if principal is None else f"name {principal.account}"
        if wait_s := self._requests.wait_s(asker, self._clock()):
            raise TooManyRequestsException("wait a little, and ask less often", headers={"Retry-After": str(wait_s)})

    def check_origin(self, method: str, headers: Mapping[str, str], principal: Principal | None) -> None:
        """Refuse (403) a write that another site may have made a browser send, with the cookie or from this machine.

        A bearer token is never sent by a browser on its own, so it needs no such check.
        """
        if method in SAFE or (principal is not None and not principal.by_cookie and not principal.open):
            return
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and origin in self._origins:
            return
        if site is not None:
            fine = site == "same-origin"
        elif origin is not None:
            fine = _place(origin) == headers.get("host", "")
        else:
            # No browser: they all send one of the two. A cookie that comes without is not from one.
            fine = principal is None or principal.open
        if not fine:
            raise PermissionDeniedException("a page of another origin may not write here; see gateway.trusted_origins")

    def session_cookie(self, principal: Principal) -> tuple[str, int]:
        """The cookie of a new session of somebody who has shown a token, and its end (Unix ms).

        Raises:
            HTTPException: It would be larger than a browser keeps (400).
        """
        expires_at_ms = self.now_ms() + self._session_ms
        if principal.expires_at_ms is not None:
            expires_at_ms = min(expires_at_ms, principal.expires_at_ms)
        # Of an issuer's user the cookie has roles and tenants: many providers list hundreds of groups, of which few are roles here.
        known = self._tokens.file.roles
        roles = tuple(role for role in principal.roles if role in known)
        tenants = principal.tenants if principal.entry is None else frozenset()
        value = self._cookies.write(CookieSession(principal.name, expires_at_ms, principal.entry, roles, tenants))
        if len(value) > LONGEST_VALUE:
            raise ClientException("a browser's cookie cannot hold so many tenants: let gateway.oidc_tenants_claim list fewer, or `*`")
        return value, expires_at_ms

    def still_allowed(self, principal: Principal) -> Callable[[], bool]:
        """Tells whether somebody may go on with what they have opened: their time is not over, and no token has changed."""
        generation = self._tokens.generation

        def check() -> bool:
            # Asked for, because that reads the file again.
            unchanged = self._tokens.file is not None and self._tokens.generation == generation
            return unchanged and (principal.expires_at_ms is None or principal.expires_at_ms > self.now_ms())

        return check

    async def _of_token(self, token: str) -> Principal | None:
        if token.startswith(PREFIX + SEPARATOR):
            entry = await self._tokens.verify(token, self.now_ms())
            return None if entry is None else self._of_entry(entry)
        if self._issuer is None:
            return None
        try:
            claims = await self._issuer.check(token)
        except KeysAwayError as error:
            raise unavailable(str(error)) from None
        return None if claims is None else self._of_claims(claims)

    def _of_session(self, session: CookieSession) -> Principal | None:
        if session.fingerprint is None:
            if self._issuer is None:
                return None
            claims = Claims(session.name, session.roles, session.tenants, session.expires_at_ms)
            return replace(self._of_claims(claims), by_cookie=True)
        entry = self._tokens.entry(session.name, self.now_ms())
        if entry is None or entry.fingerprint != session.fingerprint:
            return None
        return replace(self._of_entry(entry), expires_at_ms=session.expires_at_ms, by_cookie=True)

    def _of_entry(self, entry: TokenEntry) -> Principal:
        permissions = self._permissions([entry.role])
        return Principal(entry.name, entry.tenants, permissions, entry.expires_at_ms, entry=entry.fingerprint, roles=(entry.role,))

    def _of_claims(self, claims: Claims) -> Principal:
        return Principal(claims.name, claims.tenants, self._permissions(claims.roles), claims.expires_at_ms, roles=claims.roles)

    def _permissions(self, roles: Iterable[str]) -> frozenset[Permission]:
        known = self._tokens.file.roles
        return frozenset(permission for role in roles for permission in known.get(role, ()))


def _refuse_strange_hosts(host: str) -> None:
    """A page of another site can let its own name point here. Its requests carry that name."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        name = ""
    if not is_loopback(name):
        raise PermissionDeniedException("without tokens, the gateway answers to 127.0.0.1 and localhost only; see gateway.access")


def _place(origin: str) -> str | None:
    """Host and port of an origin; None if it has none that can be read."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _origins(text: str) -> frozenset[str]:
    return frozenset(origin.strip().rstrip("/") for origin in text.split(",") if origin.strip())
