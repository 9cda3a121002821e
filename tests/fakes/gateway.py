"""A gateway that answers what a test tells it to: for faults that a real one shows rarely."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from stream.gateway.views import Batch

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """The address of a server that answers every request with the handler."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def problem(status: int, detail: str, **headers: str) -> web.Response:
    """An answer as problem details."""
    body = {"type": "about:blank", "title": "Refused", "status": status, "detail": detail}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response(body, status=status, content_type="application/problem+json", headers=named)


async def events(request: web.Request, *pieces: bytes, cut: bool = True) -> web.StreamResponse:
    """An event stream of these pieces; then it is cut, or stays open."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
    if cut and request.transport is not None:
        request.transport.close()
    else:
        await asyncio.sleep(3600)
    return response


def batch_event(position: str, batch: Batch) -> bytes:
    """A batch as the gateway writes it."""
    return b"id: %s\nevent: batch\ndata: %s\n\n" % (position.encode(), msgspec.json.encode(batch))
