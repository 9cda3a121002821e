"""A response of many pieces that takes long, and counts while it is under way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from litestar.response import Stream
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Scope, Send


class CountedResponse(ASGIStreamingResponse):
    """Counts before its first byte is sent: of many that are asked for at once, none gets past a limit. Counts until its end."""

    under_way: AbstractContextManager[None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        with self.under_way:
            await super().__call__(scope, receive, send)


class CountedStream(Stream):
    """A response that counts.

    Args:
        pieces: What is sent.
        under_way: Entered while the response is sent.
        media_type: Of the response.
        headers: Of the response.
    """

    asgi: ClassVar[type[CountedResponse]] = CountedResponse

    def __init__(
        self, pieces: AsyncIterator[bytes], under_way: AbstractContextManager[None], *, media_type: str, headers: dict[str, str]
    ) -> None:
        self._under_way = under_way
        super().__init__(pieces, media_type=media_type, headers=headers)

    def to_asgi_response(self, *_args: Any, **options: Any) -> CountedResponse:
        """The response as a program for the server; see the base class."""
        response = super().to_asgi_response(*_args, **options)
        if not isinstance(response, ASGIStreamingResponse):
            raise TypeError("the base class makes streaming responses")
        made = self.asgi(
            iterator=response.iterator,
            headers=dict(response.headers.items()),
            media_type=self.media_type,
            status_code=response.status_code,
            is_head_response=response.is_head_response,
        )
        made.under_way = self._under_way
        return made
