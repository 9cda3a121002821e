"""The differences between this transport and Faust's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from faust import App
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
    consumer: Any = WorkerTransport(App("transport"), Commits(), 100, 1).Consumer
    await consumer.verify_all_partitions_active(SimpleNamespace(assignment=lambda: {CHUNKS}))


async def test_a_fetch_that_has_just_failed_does_not_interrupt_stopping_the_thread() -> None:
    consumer = FakeConsumer()
    await Thread(consumer).on_thread_stop()
    assert consumer.stopped


async def test_partitions_without_a_commit_are_read_from_their_beginning_again() -> None:
    consumer = FakeConsumer()
    assert await Thread(consumer).seek_to_committed() == {CHUNKS: 7, SESSIONS: None, TEXT: 0}
    assert consumer.rewound == [SESSIONS, TEXT]
