"""Follows the live stream of a gateway: reconnects, continues where it stopped, and says so where that is not possible."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import msgspec

from stream.aio.backoff import Backoff
from stream.client.connection import Connection
from stream.client.errors import GatewayAwayError, GatewayError, ProblemError
from stream.client.ordering import Ordering
from stream.client.sse import Event, EventParser
from stream.domain.alert import AlertRecord
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord, SessionRecord
from stream.gateway.views import Batch, Gap, SessionState, Stale

Result = ScoreRecord | ExplanationRecord | AlertRecord | PartialRecord | SessionRecord | SessionState | Gap | Stale
"""What a subscription yields."""

START = "start"
"""The position before all results that are kept."""
BACKOFF = Backoff(first_s=0.5, cap_s=10.0)
LONGEST_PAUSE_S = 300.0
"""A longer pause that a gateway asks for is cut: it may be back before."""

_EVENTS: dict[str, msgspec.json.Decoder[Batch] | msgspec.json.Decoder[Gap] | msgspec.json.Decoder[Stale]] = {
    "batch": msgspec.json.Decoder(Batch),
    "gap": msgspec.json.Decoder(Gap),
    "stale": msgspec.json.Decoder(Stale),
}


class Subscription:
    """An async iterator over the results of one session, or of all sessions that the token may see. It ends only with an error.

    The results of one session come each once and in order, whatever happens to the connection and to the gateway. So do those of all
    sessions as long as the gateway can continue where the connection was cut; where it cannot, a `Gap` comes first: then load the
    snapshot (`stream.client.gateway.Gateway.sessions`) again.

    The first connection must succeed; later ones are repeated until they do. A refusal that does not pass (401, 403, 404) is an error.

    Attributes:
        position: Where the stream continues after the results that were taken; pass it as `after` to a later subscription.

    Args:
        url: Where the gateway is: ``https://host``.
        session: ``TENANT/SESSION``; None for all sessions.
        token: Bearer token; None where the gateway lets everybody in.
        records: With all sessions: whether to have each final score, too, and not only the new state of its session.
        after: Position of an earlier subscription; ``start`` for all results of one session that are kept. Empty: from now on.
        ca_file: PEM file of the authority that signed the gateway's certificate; None for the system's authorities.
    """

    def __init__(
        self,
        url: str,
        session: str | None = None,
        token: str | None = None,
        *,
        records: bool = False,
        after: str = "",
        ca_file: Path | None = None,
    ) -> None:
        self.position = after
        self._url, self._token, self._ca_file = url, token, ca_file
        self._query: dict[str, object] = {"session": session, "records": True if records and session is None else None}
        self._ordering = Ordering()
        self._pending: deque[Result] = deque()
        self._pending_id = after
        self._retry_s = 0.0

    async def __aiter__(self) -> AsyncIterator[Result]:
        """Every new result. After a loop was left, the next loop continues where it stopped."""
        connection = Connection(self._url, self._token, self._ca_file)
        failures, connected = 0, False
        try:
            while True:
                pause_s = 0.0
                try:
                    while self._pending:
                        yield self._take()
                    async for event in self._events(connection):
                        failures, connected = 0, True
                        self._pending.extend(self._results(event))
                        self._pending_id = event.id or self._pending_id
                        while self._pending:
                            yield self._take()
                        self.position = self._pending_id
                except GatewayError as error:
                    if not connected or not _passes(error):
                        raise
                    pause_s = getattr(error, "retry_after_s", None) or 0.0
                failures += 1
                await asyncio.sleep(min(max(BACKOFF.delay_s(failures), self._retry_s, pause_s), LONGEST_PAUSE_S))
        finally:
            await connection.close()

    def _take(self) -> Result:
        """The next result. With the last of an event, the position moves behind it."""
        result = self._pending.popleft()
        if not self._pending:
            self.position = self._pending_id
        return result

    async def _events(self, connection: Connection) -> AsyncIterator[Event]:
        """The events of one connection, until it ends. Raises `GatewayError`."""
        headers, query = {"Accept": "text/event-stream", "Cache-Control": "no-store"}, dict(self._query)
        if self.position == START:
            query["after"] = START
        elif self.position:
            headers["Last-Event-ID"] = self.position
        async with connection.open("GET", "stream", query=query, headers=headers, endless=True) as response:
            if response.content_type != "text/event-stream":
                raise GatewayError(f"{connection.place} answers with {response.content_type}, not with events: is this a gateway?")
            parser = EventParser()
            try:
                async for piece in response.content.iter_any():
                    for event in parser.feed(piece):
                        yield event
            except (aiohttp.ClientError, TimeoutError) as error:
                raise GatewayAwayError(f"The connection to {connection.place} was cut ({type(error).__name__})") from None
            finally:
                self._retry_s = (parser.retry_ms or 0) / 1000

    def _results(self, event: Event) -> Iterator[Result]:
        """What an event holds. Kinds of later releases are passed over."""
        decoder = _EVENTS.get(event.name)
        if decoder is None:
            return
        try:
            found = decoder.decode(event.data)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise GatewayError(f"An event is not that of a gateway of this release: {error}") from None
        if isinstance(found, Batch):
            yield from self._ordering.results(found)
        else:
            yield found


def _passes(error: GatewayError) -> bool:
    return isinstance(error, GatewayAwayError) or (isinstance(error, ProblemError) and error.passes)


def subscribe(
    url: str,
    session: str | None = None,
    token: str | None = None,
    *,
    records: bool = False,
    after: str = "",
    ca_file: Path | None = None,
) -> Subscription:
    """Follow one session, or all sessions that the token may see. See `Subscription` for the arguments."""
    return Subscription(url, session, token, records=records, after=after, ca_file=ca_file)
