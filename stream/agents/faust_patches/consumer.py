"""The parts of Faust's consumer that have no public name: its thread and its positions.

Faust (0.15.3) runs aiokafka's consumer in a thread with an event loop of its own (``faust/transport/drivers/aiokafka.py``,
``AIOKafkaConsumerThread``), and aiokafka (0.14.0) keeps what the broker last said about each partition in its subscription state.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, cast

from faust import App
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP

from stream.agents.faust_patches.commits import ReadTo
from stream.agents.faust_patches.transport import RewindingThread


class FetchedPosition(NamedTuple):
    """How far a partition has been read, and the broker's latest answer about it.

    Attributes:
        read_to: How far it has been read.
        stable_offset: The first offset of an open transaction, which cannot be read yet; the end if there is none.
        end_offset: The partition's end (its high-water mark).
        answered_at_ms: When the broker said so (Unix ms).
    """

    read_to: ReadTo
    stable_offset: int
    end_offset: int
    answered_at_ms: float


def _thread(app: App) -> AIOKafkaConsumerThread:
    return cast(Consumer, app.consumer)._thread


def call_in_consumer_thread(app: App, callback: Callable[..., object], *args: object) -> None:
    """Call a function in the event loop of the thread that reads from Kafka; nothing happens once the thread has ended."""
    with contextlib.suppress(RuntimeError):  # the loop is closed
        _thread(app).thread_loop.call_soon_threadsafe(callback, *args)


def group_error(app: App) -> str | None:
    """The name of the error with which the broker refuses this member of the group; None if it does not.

    aiokafka keeps it for the next fetch (``GroupCoordinator._push_error_to_user``), which never comes: nothing was assigned.
    """
    # ``app.consumer`` would make one.
    consumer = _thread(app)._consumer if app._consumer is not None else None
    error = getattr(getattr(consumer, "_coordinator", None), "_pending_exception", None)
    return type(error).__name__ if error is not None else None


async def partition_counts(app: App, topics: Iterable[str]) -> Mapping[str, int]:
    """The number of partitions of each topic, asked of the broker now; 0 for a topic that is missing.

    While the broker does not answer, the numbers that it gave last. A change makes aiokafka join the group again, so that the new
    partitions are assigned.
    """
    thread = _thread(app)
    client = thread._ensure_consumer()._client

    async def ask() -> Mapping[str, int]:
        await client.force_metadata_update()
        return {topic: len(client.cluster.partitions_for_topic(topic) or ()) for topic in topics}

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(ask(), thread.thread_loop))


def join_again(app: App) -> None:
    """Leave the consumer group and join it again: a rebalance, after which the worker reads from the committed offsets."""
    coordinator = _thread(app)._ensure_consumer()._coordinator
    call_in_consumer_thread(app, coordinator.maybe_leave_group)


async def abandon_consumer(app: App) -> None:
    """Stop the agents and the consumer's thread without committing or leaving the group: the broker is away.

    Faust's own way of stopping waits a minute for the consumer, and without limit where something is still to be published or committed
    (0.15.3, ``App.on_stop``, ``Consumer.on_stop``).
    """
    await app.agents.stop()
    await _thread(app).stop()


def fetched_position(app: App, partition: TP) -> FetchedPosition | None:
    """The broker's latest answer about an assigned partition; None if it has not answered since the assignment."""
    thread = _thread(app)
    read_to = cast(RewindingThread, thread).read_to.get(partition)
    subscription = thread._ensure_consumer()._subscription.subscription
    state = subscription and subscription.assignment and subscription.assignment.state_value(partition)
    if read_to is None or state is None or state.highwater is None or not state.has_valid_position or state.timestamp is None:
        return None
    # The thread writes these while they are read here, in the opposite order: an end may be newer than its time, but never older.
    answered_at_ms, stable_offset, end_offset = state.timestamp, state.lso, state.highwater
    if stable_offset is None or not 0 <= stable_offset <= end_offset:
        stable_offset = end_offset
    return FetchedPosition(read_to, stable_offset, end_offset, answered_at_ms)
