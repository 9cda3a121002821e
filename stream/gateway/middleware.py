"""What holds for every request: who sends it, the headers that protect a browser, and tags for what has not changed."""

from __future__ import annotations

import hashlib
from collections.abc import MutableMapping
from typing import Any, cast

from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Middleware, Receive, Scope, Send

from stream.gateway.access import Access
from stream.gateway.metrics import GatewayMetrics

API = "/api/"
LARGEST_TAGGED = 8_000_000
"""Bytes. A larger answer is passed on as it comes."""

_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
PROTECTION = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
"""Headers of every answer."""


async def protect(message: Message, _scope: Scope) -> None:
    """Add the headers that protect a browser."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in PROTECTION.items():
            headers.setdefault(name, value)


def identification(access: Access) -> Middleware:
    """Finds out who sends a request to the API, keeps it as ``scope["user"]``, and refuses what they may not even try."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def identify(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == ScopeType.HTTP and scope["path"].startswith(API):
                connection = ASGIConnection[Any, Any, Any, Any](scope)
                address = connection.client.host if connection.client else ""
                scope["user"] = principal = await access.identify(connection.headers, connection.cookies, address)
                access.count(principal, address)
                access.check_origin(scope["method"], connection.headers, principal)
            await app(scope, receive, send)

        return identify

    return wrap


def counted(metrics: GatewayMetrics) -> Middleware:
    """Counts the answers of the API by their status."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def count(scope: Scope, receive: Receive, send: Send) -> None:
            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start" and scope["path"].startswith(API):
                    metrics.requests.labels(str(message["status"])).inc()
                await send(message)

            await app(scope, receive, sent)

        return count

    return wrap


def tags(app: ASGIApp) -> ASGIApp:
    """Gives the JSON of a GET an ETag, and answers 304 if the asker has it already."""

    async def tag(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "GET" or not scope["path"].startswith(API):
            await app(scope, receive, send)
            return
        held: list[Message] = []
        size = 0

        async def hold(message: Message) -> None:
            nonlocal size
            if not held and not _is_snapshot(message):
                await send(message)
                return
            size += len(cast(MutableMapping[str, Any], message).get("body", b""))
            held.append(message)
            if size > LARGEST_TAGGED:
                for early in held:
                    await send(early)
                held.clear()

        await app(scope, receive, hold)
        if held:
            await _send_tagged(ASGIConnection[Any, Any, Any, Any](scope).headers.get("if-none-match", ""), held, send)

    return tag


def _is_snapshot(message: Message) -> bool:
    if message["type"] != "http.response.start" or message["status"] != 200:
        return False
    # Not JSON lines: they are a stream.
    return str(MutableScopeHeaders.from_message(message).get("content-type", "")).partition(";")[0] == "application/json"


async def _send_tagged(known: str, held: list[Message], send: Send) -> None:
    start, *parts = cast(list[MutableMapping[str, Any]], held)
    body = b"".join(part.get("body", b"") for part in parts)
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = MutableScopeHeaders.from_message(cast(Message, start))
    headers["ETag"] = etag
    headers.setdefault("Cache-Control", "private, no-cache")
    headers["Vary"] = "Authorization, Cookie"
    if etag in known:
        start["status"] = 304
        del headers["content-length"]
        body = b""
    await send(cast(Message, start))
    await send(cast(Message, {"type": "http.response.body", "body": body, "more_body": False}))
