"""The differences between this transport and Faust's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import BrokerResponseError, CommitFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError
from faust import App
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from stream.agents.faust_patches.commits import Commits
from stream.agents.faust_patches.transport import RewindingThread, WorkerTransport

CHUNKS, SESSIONS, TEXT = TP("chunks", 0), TP("sessions", 0), TP("text", 1)


class FakeConsumer:
    """An aiokafka consumer that has committed something in one partition only."""

    def __init__(self) -> None:
        self.rewound: list[TP] = []
        self.stopped = False

    async def stop(self) -> None:
        """Fail as aiokafka does while a fetch waits for its next attempt."""
        self.stopped = True
        raise asyncio.CancelledError

    async def seek_to_committed(self) -> dict[TP, int | None]:
        return {CHUNKS: 7, SESSIONS: None, TEXT: 0}

    async def seek_to_beginning(self, *partitions: TP) -> None:
        self.rewound += partitions


class Thread(RewindingThread):
    """The consumer thread, without a real thread."""

    def __init__(self, consumer: FakeConsumer) -> None:
        self._fake = self._consumer = consumer

    def _ensure_consumer(self) -> Any:
        return self._fake

    async def call_thread(self, call: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        return await call(*arguments)


async def test_a_partition_without_a_position_does_not_end_the_worker() -> None:
    """Faust's check asks aiokafka for the position of every assigned partition, and would end the worker."""
    consumer: Any = WorkerTransport(App("transport"), Commits(), 100, 1, on_refusal=print).Consumer
    await consumer.verify_all_partitions_active(SimpleNamespace(assignment=lambda: {CHUNKS}))


async def test_a_fetch_that_has_just_failed_does_not_interrupt_stopping_the_thread() -> None:
    consumer = FakeConsumer()
    await Thread(consumer).on_thread_stop()
    assert consumer.stopped


async def test_partitions_without_a_commit_are_read_from_their_beginning_again() -> None:
    consumer = FakeConsumer()
    assert await Thread(consumer).seek_to_committed() == {CHUNKS: 7, SESSIONS: None, TEXT: 0}
    assert consumer.rewound == [SESSIONS, TEXT]


class RefusedConsumer:
    """An aiokafka consumer that fails to commit and to fetch."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.committed: list[Any] = []

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("chunks", 0)}

    async def commit(self, offsets: Any) -> None:
        self.committed.append(offsets)
        raise self.error


def refused_thread(consumer: RefusedConsumer, refusals: list[BrokerResponseError]) -> RewindingThread:
    thread: Any = RewindingThread.__new__(RewindingThread)
    thread.__dict__.update(
        _consumer=consumer,
        consumer=SimpleNamespace(transport=SimpleNamespace(on_refusal=refusals.append)),
        parent_loop=asyncio.get_running_loop(),
    )
    return thread  # type: ignore[no-any-return]


@pytest.mark.parametrize("error", [GroupAuthorizationFailedError("workers"), TopicAuthorizationFailedError({"chunks"})])
async def test_a_commit_that_is_refused_is_said_and_raises_nothing(error: BrokerResponseError) -> None:
    consumer, refusals = RefusedConsumer(error), []  # type: ignore[var-annotated]
    assert not await refused_thread(consumer, refusals)._commit({CHUNKS: 7, TEXT: 3})
    await asyncio.sleep(0)
    assert refusals == [error]
    assert [{tp: offset.offset for tp, offset in offsets.items()} for offsets in consumer.committed] == [{TopicPartition("chunks", 0): 7}]


async def test_a_commit_after_a_rebalance_is_no_refusal() -> None:
    refusals: list[BrokerResponseError] = []
    assert not await refused_thread(RefusedConsumer(CommitFailedError("already rebalanced")), refusals)._commit({CHUNKS: 7})
    await asyncio.sleep(0)
    assert refusals == []


async def test_what_the_broker_does_not_allow_is_said_and_waits_for_the_worker_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    error, refusals = TopicAuthorizationFailedError("chunks"), []  # type: ignore[var-annotated]

    async def refuse(_thread: Any, _fun: Any) -> None:
        raise error

    monkeypatch.setattr(AIOKafkaConsumerThread, "call_thread", refuse)
    fetching = asyncio.ensure_future(refused_thread(RefusedConsumer(error), refusals).call_thread(print))
    await asyncio.wait({fetching}, timeout=0.05)
    assert (refusals, fetching.done()) == ([error], False)
    fetching.cancel()
