"""Server-sent events: the text of an event, and a response that drops a viewer who no longer reads."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, aclosing
from functools import lru_cache
from typing import Any

import msgspec
import structlog
from litestar.types import HTTPResponseBodyEvent, Receive, Scope, Send

from stream.gateway.counted_stream import CountedResponse, CountedStream

log = structlog.get_logger(__name__)

SEND_S = 10.0
"""Longest time for which one event may wait for a viewer who does not read. Then the stream is cut off; the viewer may resume it."""
RETRY_MS = 2000
"""Time after which a browser connects again."""
FIRST = b"retry: %d\n\n" % RETRY_MS
KEEP_ALIVE = b": still here\n\n"

GZIP = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""How a stream in gzip begins. It has no end: streams end with their connection."""

_encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=16)
def packed(text: bytes) -> bytes:
    """An event as a part of a stream in gzip, a seventh of its size. It does not refer to other parts, so all viewers share its bytes."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(text) + compressor.flush(zlib.Z_FULL_FLUSH)


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


class _EventResponse(CountedResponse):
    """Ends when the events end, the viewer is gone, or the viewer does not take an event for `SEND_S`."""

    on_dropped: Callable[[], None]
    packs = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, in gzip if the viewer can read it."""
        accepted = next((value for name, value in scope["headers"] if name == b"accept-encoding"), b"")
        self.packs = any(coding.strip().lower() == b"gzip" for coding in accepted.split(b","))
        self.headers["Vary"] = "Accept-Encoding"
        if self.packs:
            self.headers["Content-Encoding"] = "gzip"
        await super().__call__(scope, receive, send)

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
            if self.packs:
                await send({"type": "http.response.body", "body": GZIP, "more_body": True})
            async with aclosing(events):
                async for text in events:
                    body = packed(text) if self.packs else text
                    message: HTTPResponseBodyEvent = {"type": "http.response.body", "body": body, "more_body": True}
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


class EventStream(CountedStream):
    """A response of server-sent events.

    Args:
        events: The text of each event.
        under_way: Entered while the stream is open.
        on_dropped: Called if the viewer is cut off.
    """

    asgi = _EventResponse

    def __init__(
        self, events: AsyncGenerator[bytes, None], under_way: AbstractContextManager[None], on_dropped: Callable[[], None] = lambda: None
    ) -> None:
        self._on_dropped = on_dropped
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, under_way, media_type="text/event-stream", headers=headers)

    def to_asgi_response(self, *_args: Any, **options: Any) -> CountedResponse:
        """The response as a program for the server; see the base class."""
        made = super().to_asgi_response(*_args, **options)
        if isinstance(made, _EventResponse):
            made.on_dropped = self._on_dropped
        return made
