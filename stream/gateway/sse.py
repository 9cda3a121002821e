"""Server-sent events: the text of an event, and a response that drops a viewer who no longer reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import msgspec
import structlog
from litestar.response import Stream
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import HTTPResponseBodyEvent, Receive, Send

log = structlog.get_logger(__name__)

SEND_S = 10.0
"""Longest time for which one event may wait for a viewer who does not read. Then the stream is cut off; the viewer may resume it."""
RETRY_MS = 2000
"""Time after which a browser connects again."""
FIRST = b"retry: %d\n\n" % RETRY_MS
KEEP_ALIVE = b": still here\n\n"

_encode = msgspec.json.Encoder().encode


def event(name: str, content: msgspec.Struct | bytes, position: str | None = None) -> bytes:
    """The text of an event.

    Args:
        name: Its name.
        content: Its content, or the JSON of it.
        position: What a browser sends as ``Last-Event-ID`` after it.
    """
    data = content if isinstance(content, bytes) else _encode(content)
    where = b"" if position is None else b"id: " + position.encode("ascii") + b"\n"
    return b"event: " + name.encode("ascii") + b"\n" + where + b"data: " + data + b"\n\n"


class _EventResponse(ASGIStreamingResponse):
    """Ends when the events end, the viewer is gone, or the viewer does not take an event for `SEND_S`."""

    on_dropped: Callable[[], None]

    async def send_body(self, send: Send, receive: Receive) -> None:
        sending = asyncio.ensure_future(self._send_events(send))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
        if not sending.cancelled() and (error := sending.exception()) is not None:
            raise error

    async def _send_events(self, send: Send) -> None:
        events: Any = self.iterator
        if not isinstance(events, AsyncGenerator):
            raise TypeError("events come from a generator")
        try:
            async with aclosing(events):
                async for text in events:
                    message: HTTPResponseBodyEvent = {"type": "http.response.body", "body": text, "more_body": True}
                    async with asyncio.timeout(SEND_S):
                        await send(message)
            last: HTTPResponseBodyEvent = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(last)
        except TimeoutError:
            # Without a last chunk the server closes the connection, and the viewer sees that the stream was cut off.
            self.on_dropped()
            log.info("viewer_dropped", what=f"a viewer has read nothing for {SEND_S:g} s")


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Stream):
    """A response of server-sent events.

    Args:
        events: The text of each event.
        on_dropped: Called if the viewer is cut off.
    """

    def __init__(self, events: AsyncGenerator[bytes, None], on_dropped: Callable[[], None] = lambda: None) -> None:
        self._on_dropped = on_dropped
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)

    def to_asgi_response(self, *_args: Any, **options: Any) -> ASGIStreamingResponse:
        """The response as a program for the server; see the base class."""
        response = super().to_asgi_response(*_args, **options)
        if not isinstance(response, ASGIStreamingResponse):
            raise TypeError("the base class makes streaming responses")
        made = _EventResponse(
            iterator=response.iterator,
            headers=dict(response.headers.items()),
            media_type="text/event-stream",
            status_code=response.status_code,
            is_head_response=response.is_head_response,
        )
        made.on_dropped = self._on_dropped
        return made
