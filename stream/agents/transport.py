"""Faust's aiokafka transport with two more settings, how long a fetch waits and for how much, `Commits`, and less work for each message.

Faust 0.15 fixes it at 1.5 s (``faust/transport/drivers/aiokafka.py``, ``_create_worker_consumer``). Apache Kafka answers as soon as
there is data, but other brokers of its protocol answer late in a long poll, which would be the latency of every window.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError
from faust import App
from faust.transport.drivers import aiokafka as driver
from faust.transport.producer import ProducerBuffer
from faust.types import TP
from mode.services import WaitResults

from stream.agents.commits import Commits
from stream.agents.eager import Waiting, begin

# Faust's services log under the name of the module that defines them; their every start is no news.
logging.getLogger(__name__).setLevel(logging.WARNING)


class RewindingThread(driver.AIOKafkaConsumerThread):
    """Goes back to the beginning where nothing has been committed.

    Faust goes back to the committed offsets after it dropped what was fetched while its flow was suspended, but leaves partitions without
    one where they are (0.15.3, ``Consumer.getmany``, ``seek_to_committed``): what was dropped of those would not be read again.
    """

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to the committed offsets, to the beginning where there is none; returns the committed ones."""
        committed = await super().seek_to_committed()
        if fresh := [tp for tp, offset in committed.items() if not offset]:
            with contextlib.suppress(IllegalStateError):  # they were taken away meanwhile: whoever is assigned them seeks again
                await self.seek_to_beginning(*fresh)
        return committed

    async def on_thread_stop(self) -> None:
        """Stop reading.

        A fetch that waits for its next try, because the broker is away, is cancelled by aiokafka (0.14.0, ``Fetcher.close``), and with it
        whoever waits for its end: the thread would break off, and Faust wait for it for a minute.
        """
        with contextlib.suppress(asyncio.CancelledError):
            await super().on_thread_stop()


class Unbuffered(ProducerBuffer):
    """The buffer of messages from tables, of which there are none: Faust asks for every message that comes in whether it is full."""

    async def wait_until_ebb(self) -> None:
        """It is empty."""


class PromptProducer(driver.Producer):
    """Faust's producer, without its buffer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.buffer = Unbuffered(loop=self.loop, beacon=self.beacon)
        self.buffer.app = self.app


def transport(app: App, commits: Commits, fetch_max_wait_ms: int, fetch_min_bytes: int) -> driver.Transport:
    """A transport whose consumer commits what ``commits`` allows and waits for ``fetch_min_bytes``, but at most ``fetch_max_wait_ms``."""

    class PromptThread(RewindingThread):
        def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
            consumer = super()._create_worker_consumer(transport)
            consumer._fetch_max_wait_ms = fetch_max_wait_ms
            consumer._fetch_min_bytes = fetch_min_bytes
            return consumer

    class PromptConsumer(driver.Consumer):
        async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
            """Nothing is read before going back to the committed offsets; Faust stops only who had partitions before."""
            self.stop_flow()
            self.app.flow_control.suspend()
            await super().on_partitions_assigned(assigned, generation_id)

        async def wait_first(self, *coros: Any, timeout: Any = None) -> WaitResults:  # noqa: ASYNC109 (Faust's)
            """What Faust calls for every message, with the message's way into its stream first.

            It would make four tasks, to notice a suspended flow while the message waits for room. A message that finds room needs none.
            """
            if not (coros and isinstance(coros[0], Coroutine)):
                return await super().wait_first(*coros, timeout=timeout)
            first, *others = coros
            begun = begin(first)
            if isinstance(begun, Waiting):
                return await super().wait_first(begun, *others, timeout=timeout)
            for other in others:
                if isinstance(other, Coroutine):
                    other.close()
            return WaitResults([], [], True) if self.should_stop else WaitResults([first], list(begun), False)

        def _new_offset(self, tp: TP) -> int | None:
            after = commits.take(tp, self._acked_index[tp])
            self._acked[tp] = list(self._acked_index[tp])
            return after

        async def verify_all_partitions_active(self) -> None:
            """Nothing is looked at.

            Faust would log which partitions take long to commit, as ours do by design, and would end the worker by a failed assertion
            where a partition has no position yet, in the moment after a rebalance (0.15.3, ``verify_event_path``).
            """

        async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
            """Offsets that a topic lacks are no matter: they are never delivered."""

        def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
            return PromptThread(self, loop=self.loop, beacon=self.beacon)

    class Transport(driver.Transport):
        Consumer: ClassVar[type[driver.Consumer]] = PromptConsumer
        Producer: ClassVar[type[driver.Producer]] = PromptProducer

    return Transport(app.conf.broker_consumer, app)
