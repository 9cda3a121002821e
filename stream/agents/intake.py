"""Records from Faust to the agent with little ado: as they came, and those that wait together without a turn of the event loop for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import faust
from faust.types import AppT, EventT, Message, StreamT


class AsTheyCame(faust.Schema):  # type: ignore[type-arg]
    """Keys and values stay bytes, headers stay in the message; Faust (0.15.3) asks registries and settings about each record."""

    def compile(self, app: AppT, **_options: Any) -> Callable[..., Awaitable[EventT[Any]]]:
        """What Faust calls for each record."""

        async def decode(message: Message, *, propagate: bool = False) -> EventT[Any]:
            return faust.Event(app, message.key, message.value, None, message)

        return decode


def waiting(stream: StreamT[Any]) -> Iterator[EventT[Any]]:
    """The events that are in a stream's queue already, less those that a rebalance made void.

    Whoever iterates over a stream of Faust gives the event loop a turn for each. The rule for void ones is Faust's own (0.15.3,
    ``faust/_cython/streams.pyx``, ``_prepare_event``).
    """
    app, queue = stream.app, cast(Any, stream).channel.queue
    while not queue.empty():
        event: EventT[Any] = queue.get_nowait()
        if app.flow_control.is_active() and cast(Any, event.message).generation_id == app.consumer_generation_id:
            yield event
