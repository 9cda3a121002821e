"""Faust's aiokafka transport, changed where it loses records, is slow or does not end. Each class names the upstream behaviour (0.15.3)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, cast

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import (
    BrokerResponseError,
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalStateError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import OffsetAndMetadata
from faust import App
from faust.transport.consumer import RecordMap
from faust.transport.drivers import aiokafka as driver
from faust.transport.producer import ProducerBuffer
from faust.types import TP
from mode.services import WaitResults

from stream.agents.faust_patches.commits import Commits, ReadTo
from stream.agents.faust_patches.header_names import read_any_header_names
from stream.aio.eager import Suspended, start_eagerly

# Faust's services log each of their starts, under the name of the module that defines them.
logging.getLogger(__name__).setLevel(logging.WARNING)


FETCH_S = 0.1
"""How long Faust waits for records at most: how far the partitions are read is noted as often, also where only markers have come."""

NOTHING_READ = ReadTo(0)

REFUSALS = (TopicAuthorizationFailedError, GroupAuthorizationFailedError)
"""The broker does not allow this user a topic or the group."""

OnRefusal = Callable[[BrokerResponseError], None]


class RewindingThread(driver.AIOKafkaConsumerThread):
    """Seeks to the beginning of partitions in which nothing has been committed.

    After a rebalance, Faust drops the records that it fetched while its flow was suspended and seeks to the committed offsets, but leaves
    partitions without a committed offset where they are (``Consumer.getmany``, ``seek_to_committed``): their dropped records were never
    read.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.read_to: dict[TP, ReadTo] = {}
        """How far each assigned partition has been read. Written in this thread only, one whole value at a time."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to the committed offsets, and to the beginning where there is none; return the committed offsets."""
        self.read_to = {}
        committed = await super().seek_to_committed()
        if fresh := [tp for tp, offset in committed.items() if not offset]:
            with contextlib.suppress(IllegalStateError):  # revoked in the meantime: the worker that is assigned them seeks again
                await self.seek_to_beginning(*fresh)
        return committed

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function of aiokafka's consumer. If the broker refuses it for good, say so and wait for the worker to stop.

        Faust would log a traceback and end the worker somewhere in its middle.
        """
        try:
            return await super().call_thread(fun, *args, **kwargs)
        except REFUSALS as refusal:
            cast(WorkerTransport, self.consumer.transport).on_refusal(refusal)
            return await asyncio.Event().wait()

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit, as Faust does it; but a refusal is said, and ends the worker in order."""
        assigned = self.assignment()
        after = {driver.ensure_aiokafka_TP(tp): OffsetAndMetadata(offset, "") for tp, offset in offsets.items() if tp in assigned}
        try:
            await self._ensure_consumer().commit(after)
        except CommitFailedError:  # the group has rebalanced in the meantime
            return False
        except REFUSALS as refusal:
            self.parent_loop.call_soon_threadsafe(cast(WorkerTransport, self.consumer.transport).on_refusal, refusal)
            return False
        except Exception as error:
            self.log.exception("Got exception: %r", error)
            await self.crash(error)
            return False
        return True

    async def on_thread_stop(self) -> None:
        """Stop reading.

        While the broker is away, a fetch waits for its next attempt. aiokafka cancels it (0.14.0, ``Fetcher.close``), and with it the task
        that waits for its end: the thread would break off, and Faust would wait for it for a minute.
        """
        with contextlib.suppress(asyncio.CancelledError):
            await super().on_thread_stop()

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 (Faust's signature)
        max_records: int | None = None,
    ) -> RecordMap:
        """Return records that have been fetched, and note how far that is.

        Between aiokafka's return and the note, nothing else runs in this thread: positions and records fit together.
        """
        wait_s = FETCH_S if timeout is None else min(timeout, FETCH_S)
        try:
            records = await super()._fetch_records(consumer, active_partitions, timeout=wait_s, max_records=max_records)
        except UnicodeDecodeError:
            # aiokafka's position has not moved: it fetches the same records again.
            read_any_header_names()
            return {}
        assignment = consumer._subscription.subscription and consumer._subscription.subscription.assignment
        if assignment is not None:
            read_to = dict(self.read_to)
            for tp in assignment.tps:
                state = assignment.state_value(tp)
                if state is not None and state.has_valid_position:
                    last_offset = records[tp][-1].offset if records.get(tp) else read_to.get(tp, NOTHING_READ).last_offset
                    read_to[tp] = ReadTo(state.position, last_offset)
            self.read_to = read_to
        return records


class _EmptyBuffer(ProducerBuffer):
    """The buffer for messages from tables. There are none, but Faust checks for every incoming message whether it is full."""

    async def wait_until_ebb(self) -> None:
        """Return immediately: the buffer is empty."""


class UnbufferedProducer(driver.Producer):
    """Faust's producer without its buffer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.buffer = _EmptyBuffer(loop=self.loop, beacon=self.beacon)
        self.buffer.app = self.app


class PromptThread(RewindingThread):
    """Applies the settings of fetches, which Faust fixes (``_create_worker_consumer``), and reads committed records only."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        worker_transport = cast(WorkerTransport, transport)
        consumer._fetch_max_wait_ms = worker_transport.fetch_max_wait_ms
        consumer._fetch_min_bytes = worker_transport.fetch_min_bytes
        # Faust reads aborted records, unless the worker itself writes in transactions.
        consumer._isolation_level = "read_committed"
        return consumer


class WorkerConsumer(driver.Consumer):
    """Faust's consumer with commits that never pass an unacknowledged record, and less work for each message."""

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Stop the flow, then do what Faust does.

        Faust stops the flow only of a worker that had partitions before (``App._on_partitions_revoked``). A worker that had none would
        read from wherever it stands before it has sought to the committed offsets.
        """
        self.stop_flow()
        self.app.flow_control.suspend()
        await super().on_partitions_assigned(assigned, generation_id)

    async def wait_first(self, *coros: Any, timeout: Any = None) -> WaitResults:  # noqa: ASYNC109 (Faust's signature)
        """Put a message into its stream; Faust calls this for every message.

        Faust makes four tasks, so that it notices a suspended flow while the message waits for room. A message that finds room at once
        needs none of them.
        """
        if not (coros and isinstance(coros[0], Coroutine)):
            return await super().wait_first(*coros, timeout=timeout)
        first, *others = coros
        begun = start_eagerly(first)
        if isinstance(begun, Suspended):
            return await super().wait_first(begun, *others, timeout=timeout)
        for other in others:
            if isinstance(other, Coroutine):
                other.close()
        return WaitResults([], [], True) if self.should_stop else WaitResults([first], list(begun), False)

    def _new_offset(self, tp: TP) -> int | None:
        read_to = cast(RewindingThread, self._thread).read_to.get(tp)
        after = cast(WorkerTransport, self.transport).commits.take(tp, self._acked_index[tp], read_to)
        self._acked[tp] = list(self._acked_index[tp])
        return after

    async def verify_all_partitions_active(self) -> None:
        """Do nothing.

        Faust would log which partitions take long to commit, as partitions with open windows do by design. And it would end the worker
        with a failed assertion where a partition has no position yet, just after a rebalance (``verify_event_path``).
        """

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: offsets that a topic lacks are never delivered, so `Commits` need not know of them."""

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return PromptThread(self, loop=self.loop, beacon=self.beacon)


class WorkerTransport(driver.Transport):
    """The transport of a worker.

    Args:
        app: The Faust app.
        commits: Decides which offsets may be committed.
        fetch_max_wait_ms: Longest wait of a fetch. Faust fixes it at 1.5 s. Apache Kafka answers as soon as there is data, but other
            brokers answer late in a long poll, which would delay every window.
        fetch_min_bytes: A fetch waits until there is this much data.
        on_refusal: Called when the broker does not allow this user to read, to commit or to be in the group.
    """

    Consumer: ClassVar[type[driver.Consumer]] = WorkerConsumer
    Producer: ClassVar[type[driver.Producer]] = UnbufferedProducer

    def __init__(self, app: App, commits: Commits, fetch_max_wait_ms: int, fetch_min_bytes: int, on_refusal: OnRefusal) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.commits = commits
        self.fetch_max_wait_ms = fetch_max_wait_ms
        self.fetch_min_bytes = fetch_min_bytes
        self.on_refusal = on_refusal
