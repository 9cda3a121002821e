"""Checks that every record is in the partition that its key belongs to.

A worker reads a session alone only because all its records are in the same partition of each topic. A producer with another partitioner
puts some of them elsewhere. Two workers would then each score a part of the session, and fence each other off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from stream.domain.kafka_records import BadRecordError
from stream.domain.partition import partition_of

log = structlog.get_logger(__name__)

ASK_AGAIN_S = 1.0
"""How often the broker is asked for the numbers of partitions at most: a misplaced record may mean that the topics have grown."""

WRONG_PARTITION = (
    "the key belongs to another partition: all producers must use the murmur2 partitioner of the Java client "
    "(librdkafka and its bindings: partitioner=murmur2_random) and set no partition themselves; "
    "or the topics have been given more partitions"
)


class Placement:
    """Knows the number of partitions that the input topics have in common, and keeps it up to date.

    While the topics have different numbers, because they are being enlarged one after the other, records wait: the consumer group then
    distributes each topic by itself, so that no worker has all records of a session.

    Args:
        ask: Asks the broker for the number of partitions of each input topic; 0 for a topic that is missing.
    """

    def __init__(self, ask: Callable[[], Awaitable[Mapping[str, int]]]) -> None:
        self.problem: str | None = None
        """Why records wait, for the health endpoints; None if they do not."""
        self._ask = ask
        self._partitions = 0
        self._known = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = 0.0

    def renew(self) -> None:
        """Partitions were assigned, perhaps because the topics have grown: ask again before the next record."""
        self.drop()
        self._known.clear()
        self._asking = asyncio.ensure_future(self._learn())

    def drop(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()

    def fits(self, key: bytes, partition: int) -> bool:
        """Whether a record is certainly in its partition, by what is known now. `check` decides where this is False."""
        return self._known.is_set() and partition_of(key, self._partitions) == partition

    async def check(self, key: bytes, partition: int) -> None:
        """Decide whether a record is in its partition; waits while the numbers of partitions are unknown or differ.

        Raises:
            BadRecordError: It is not (``wrong_partition``).
        """
        now = asyncio.get_running_loop().time()
        if not self._known.is_set():
            if self._asking is None:
                self.renew()
        elif not self.fits(key, partition) and now - self._asked_at >= ASK_AGAIN_S:
            self.renew()
        await self._known.wait()
        if not self.fits(key, partition):
            raise BadRecordError("wrong_partition", WRONG_PARTITION)

    async def _learn(self) -> None:
        while True:
            try:
                counts = await self._ask()
            except Exception as error:  # records wait for an answer, and nobody else would ask again
                log.warning("partitions_unknown", error=type(error).__name__)
                await asyncio.sleep(ASK_AGAIN_S)
                continue
            numbers = set(counts.values())
            if len(numbers) == 1 and (partitions := numbers.pop()):
                break
            if self.problem is None:
                log.error("partitions_differ", partitions=dict(counts))
            counted = ", ".join(f"{topic} {count}" for topic, count in counts.items())
            self.problem = f"the chunk and session topics must have the same number of partitions, but have: {counted}"
            await asyncio.sleep(ASK_AGAIN_S)
        if self.problem is not None:
            log.info("partitions_agree", partitions=partitions)
        self.problem = None
        self._partitions = partitions
        self._asked_at = asyncio.get_running_loop().time()
        self._known.set()
