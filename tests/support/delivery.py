"""Delivery tests: a session whose windows count words, its expected windows, and workers that process it on real services."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from stream.config.settings import Settings
from stream.domain.delivery import InboundRecord
from stream.domain.identity import SessionKey
from stream.domain.modality import Modality
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.kafka_admin.connection import kafka_options
from stream.local.environment import child_environment
from stream.sinks.redis_sink import RedisSink

SECONDS = 12
START = SessionStart(0, (TrackPlan("customer", "customer", (Modality.TEXT,)),))
END = SessionEnd(0, SECONDS * 1000, (TrackEnd("customer", {Modality.TEXT: SECONDS}),))
EXPECTED = [*((end, 4.0) for end in range(4000, SECONDS * 1000 + 1, 2000)), (SECONDS * 1000 + 2000, 2.0)]
"""End and number of words of every window, in the order in which they must become final."""


@asynccontextmanager
async def worker(settings: Settings, directory: Path, name: str, scoring_s: float = 0.0) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a worker process until the block ends. It is ready when the block begins, and logs to ``NAME.log``."""
    ready, log = directory / f"{name}.ready", directory / f"{name}.log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.delivery_worker", str(ready), str(scoring_s)),
            env=child_environment(settings),
            stderr=sink,
            stdout=sink,
        )
    try:
        await until(lambda: ready.exists() or process.returncode is not None, 30)
        assert process.returncode is None, log.read_text()[-2000:]
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 15)
            except TimeoutError:
                process.kill()
                await process.wait()


async def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds. Raises ``TimeoutError``."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def send(producer: KafkaProducer, prefix: str, *records: InboundRecord) -> None:
    """Write records to their topics, and wait until the broker has all of them."""
    for record in records:
        producer.send(prefix + record.topic, key=record.key, value=record.value, headers=record.headers)
    producer.flush()


async def finals(
    store: RedisSink, sessions: list[str], seconds: float = 60, *, count: int = len(EXPECTED)
) -> list[list[tuple[int, float | None]]]:
    """End and number of words of the final windows of each session, once there are ``count`` of each or the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        found = [await store.finals(SessionKey("acme", session)) for session in sessions]
        if all(len(windows) >= count for windows in found) or time.monotonic() > deadline:
            return [[(window.end_ms, window.score) for window in windows] for windows in found]
        await asyncio.sleep(0.2)


def committed(settings: Settings, topic: str) -> int:
    """Number of records of a topic that the group has committed, and will not read again."""
    with closing(KafkaConsumer(**kafka_options(settings.kafka), group_id=settings.kafka.group)) as consumer:
        return sum(consumer.committed(TopicPartition(topic, number)) or 0 for number in consumer.partitions_for_topic(topic) or ())


def is_committed(settings: Settings, topic: str, records: int) -> bool:
    """Whether the group has committed exactly this number of records of a topic."""
    return committed(settings, topic) == records


def unique_sessions(count: int) -> list[str]:
    """Names of sessions that no other test uses."""
    prefix = uuid.uuid4().hex[:8]
    return [f"{prefix}-{number}" for number in range(count)]
