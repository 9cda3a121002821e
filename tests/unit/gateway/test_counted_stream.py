"""Answers that take long count from before their first byte until their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from litestar import Litestar, get
from litestar.exceptions import TooManyRequestsException
from litestar.response import Stream

from stream.gateway.counted_stream import CountedStream
from stream.gateway.limits import AtOnce
from stream.gateway.sse import EventStream

SCOPE = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "asgi": {"version": "3.0"}}


async def _endless() -> AsyncGenerator[bytes, None]:
    while True:
        yield b"x"
        await asyncio.sleep(0)


async def _broken() -> AsyncGenerator[bytes, None]:
    yield b"x"
    raise RuntimeError("broken")


class Viewer:
    """The server's side of a connection, and the status that it was answered with."""

    def __init__(self, app: Litestar) -> None:
        self.status = 0
        self._asked = False
        self._gone = asyncio.Event()
        self._request = asyncio.ensure_future(app(dict(SCOPE), self._receive, self._send))  # type: ignore[arg-type]

    async def leave(self) -> None:
        """Disconnect, and wait for the end of the request."""
        self._gone.set()
        await asyncio.wait((self._request,), timeout=5)
        assert self._request.done()
        # A request that has failed is no news here.
        self._request.exception()

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        await asyncio.sleep(0)

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}


def _app(limit: AtOnce, *, events: bool, broken: bool = False) -> Litestar:
    @get("/")
    async def stream() -> Stream:
        if limit.is_full("a"):
            raise TooManyRequestsException
        pieces = _broken() if broken else _endless()
        return (
            EventStream(pieces, limit.under_way("a"))
            if events
            else CountedStream(pieces, limit.under_way("a"), media_type="text/csv", headers={})
        )

    return Litestar([stream], openapi_config=None, logging_config=None)


@pytest.mark.parametrize("events", [True, False])
async def test_of_many_that_are_asked_for_at_once_none_gets_past_the_limit(events: bool) -> None:
    limit = AtOnce(2, 3)
    app = _app(limit, events=events)
    viewers = [Viewer(app) for _ in range(20)]
    await asyncio.sleep(0.05)
    assert sorted(viewer.status for viewer in viewers) == [200] * 2 + [429] * 18
    for viewer in viewers:
        await viewer.leave()
    assert not limit._under_way


@pytest.mark.parametrize("events", [True, False])
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5])
async def test_who_leaves_early_no_longer_counts(turns: int, events: bool) -> None:
    limit = AtOnce(1, 1)
    viewer = Viewer(_app(limit, events=events))
    for _ in range(turns):
        await asyncio.sleep(0)
    await viewer.leave()
    assert not limit._under_way


@pytest.mark.parametrize("events", [True, False])
async def test_an_answer_that_fails_no_longer_counts(events: bool) -> None:
    limit = AtOnce(1, 1)
    viewer = Viewer(_app(limit, events=events, broken=True))
    await asyncio.sleep(0.01)
    await viewer.leave()
    assert not limit._under_way
