"""Who asks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.exceptions import ClientException

from stream.gateway.context import Gateway
from stream.gateway.cookies import NAME
from stream.gateway.guard import known
from stream.gateway.principal import Principal
from stream.gateway.views import Login, Me


class AccountController(Controller):
    """``/api/v1/me``, ``/login`` and ``/logout``."""

    path = "/api/v1"
    tags = ("account",)

    @get("/me", summary="Who asks, and what they may do", guards=[known()])
    async def me(self, gateway: Gateway, principal: Principal) -> Me:
        """What a page needs to know to show only what works."""
        return _me(gateway, principal)

    @post("/login", summary="Begin the session of a browser", status_code=200)
    async def login(self, gateway: Gateway, request: Request[Any, Any, Any], data: Login) -> Response[Me]:
        """Takes a token, and answers with a cookie that a browser sends with the stream, too."""
        if gateway.access.open:
            raise ClientException("this gateway lets everybody in: there is nothing to log in to")
        address = request.client.host if request.client else ""
        principal = await gateway.access.of_token(data.token.strip(), address)
        value, expires_at_ms = gateway.access.session_cookie(principal)
        answer = Response(_me(gateway, replace(principal, expires_at_ms=expires_at_ms)), headers={"Cache-Control": "no-store"})
        answer.set_cookie(_cookie(request, value, max(0, (expires_at_ms - gateway.access.now_ms()) // 1000)))
        return answer

    @post("/logout", summary="End the session of a browser", status_code=204)
    async def logout(self, request: Request[Any, Any, Any]) -> Response[None]:
        """Removes the cookie. It works without one, too."""
        answer: Response[None] = Response(None, status_code=204)
        answer.set_cookie(_cookie(request, "", 0))
        return answer


def _me(gateway: Gateway, principal: Principal) -> Me:
    return Me(
        name=principal.name,
        tenants=None if principal.tenants is None else tuple(sorted(principal.tenants)),
        permissions=tuple(sorted(principal.permissions)),
        open=principal.open,
        uploads=gateway.settings.gateway.uploads,
        expires_at_ms=principal.expires_at_ms,
    )


def _cookie(request: Request[Any, Any, Any], value: str, max_age_s: int) -> Cookie:
    # A proxy that ends TLS speaks plain HTTP with the gateway, but the browser names its own scheme.
    secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
    return Cookie(NAME, path="/", value=value, max_age=max_age_s, secure=secure, httponly=True, samesite="strict")
