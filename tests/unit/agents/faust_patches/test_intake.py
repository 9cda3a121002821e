"""How the agent gets its records from Faust."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import faust
from faust.types.tuples import Message
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from stream.agents.faust_patches.intake import RawSchema, drain_buffered


def stream_of(*generations: int) -> Any:
    """A stream whose queue holds one event of each of these generations; the app is in generation 1."""
    flow = FlowControlEvent(initially_suspended=False)
    queue: ThrowableQueue[Any] = ThrowableQueue(flow_control=flow)
    for offset, generation in enumerate(generations):
        queue.put_nowait(SimpleNamespace(message=SimpleNamespace(offset=offset, generation_id=generation)))
    app = SimpleNamespace(flow_control=flow, consumer_generation_id=1)
    return SimpleNamespace(app=app, channel=SimpleNamespace(queue=queue))


def offsets(stream: Any) -> list[int]:
    return [cast(Any, event.message).offset for event in drain_buffered(stream)]


async def test_buffered_events_are_handed_out_in_order() -> None:
    stream = stream_of(1, 1, 1)
    assert offsets(stream) == [0, 1, 2]
    assert offsets(stream) == []


async def test_events_from_before_a_rebalance_are_left_out() -> None:
    assert offsets(stream_of(0, 1, 0, 1)) == [1, 3]


async def test_nothing_is_handed_out_while_the_flow_is_suspended() -> None:
    stream = stream_of(1, 1)
    events = drain_buffered(stream)
    assert cast(Any, next(events).message).offset == 0
    stream.app.flow_control.suspend()
    assert list(events) == []


async def test_bytes_and_headers_are_left_as_they_are() -> None:
    headers = [("name", b"1"), ("name", b"2")]
    message = Message("chunks", 0, 7, 0.0, 0, headers, b"key", b"\xff", None)
    event = await RawSchema().compile(faust.App("intake"))(message, propagate=True)
    assert (event.key, event.value) == (b"key", b"\xff")
    assert event.message is message
    assert event.message.headers is headers
