"""Events as text, and a viewer who does not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import nullcontext
from typing import Any

import pytest
from litestar import Litestar, get
from litestar.response import Stream

from stream.gateway import sse
from stream.gateway.sse import EventStream, event
from stream.gateway.views import Gap

SCOPE = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "asgi": {"version": "3.0"}}


def test_an_event_is_lines_and_ends_with_a_blank_one() -> None:
    assert event("gap", Gap(reason="slow")) == b'event: gap\ndata: {"reason":"slow"}\n\n'
    assert event("batch", b"{}", "a:0-4000") == b"event: batch\nid: a:0-4000\ndata: {}\n\n"


class Viewer:
    """The server's side of a connection: takes `most` messages, and then no more."""

    def __init__(self, most: int) -> None:
        self.messages: list[Any] = []
        self.gone = asyncio.Event()
        self._most = most

    async def send(self, message: Any) -> None:
        if len(self.messages) >= self._most:
            await asyncio.Event().wait()
        self.messages.append(message)

    async def receive(self) -> dict[str, Any]:
        if not self.gone.is_set() and not self.messages:
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}


class Source:
    """Endless events, and whether their generator was closed."""

    def __init__(self) -> None:
        self.closed = False

    async def events(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"data: x\n\n"
                await asyncio.sleep(0)
        finally:
            self.closed = True


def app_of(source: Source) -> Litestar:
    @get("/")
    async def stream() -> Stream:
        return EventStream(source.events(), nullcontext())

    return Litestar([stream], openapi_config=None)


async def test_a_viewer_who_stops_reading_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "SEND_S", 0.05)
    viewer, source = Viewer(most=5), Source()
    async with asyncio.timeout(5):
        await app_of(source)(SCOPE, viewer.receive, viewer.send)  # type: ignore[arg-type]
    assert source.closed
    assert len(viewer.messages) == 5
    assert all(message.get("more_body", True) for message in viewer.messages), "the stream must look cut off, not ended"


async def test_a_viewer_who_leaves_ends_the_stream() -> None:
    viewer, source = Viewer(most=10**9), Source()
    running = asyncio.ensure_future(app_of(source)(SCOPE, viewer.receive, viewer.send))  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        while len(viewer.messages) < 10:
            await asyncio.sleep(0)
        viewer.gone.set()
        await running
    assert source.closed
