"""SIGTERM in the middle of a stream, on real Faust, broker and Redis."""

from __future__ import annotations

import asyncio
import signal
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from pydantic import SecretStr
from redis.asyncio import Redis

from stream.config.settings import Settings
from stream.domain.delivery import InboundRecord
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.lifecycle import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.domain.modality import Modality
from stream.domain.topics import Topics
from stream.local.environment import child_environment
from stream.produce.connection import kafka_options
from stream.produce.topics import ensure_topics
from stream.sinks.keys import track_names
from stream.sinks.redis_sink import RedisSink
from tests.fakes.world import FakeWorker
from tests.support.kafka_records import read_topic

SECONDS = 12
START = SessionStart(0, (TrackPlan("customer", "customer", (Modality.TEXT,)),))
END = SessionEnd(0, SECONDS * 1000, (TrackEnd("customer", {Modality.TEXT: SECONDS}),))
EXPECTED = [*((end, 4.0) for end in range(4000, SECONDS * 1000 + 1, 2000)), (SECONDS * 1000 + 2000, 2.0)]


@pytest.fixture
def settings(kafka_bootstrap: str, redis_url: str) -> Settings:
    own = f"drain-{uuid.uuid4().hex[:8]}"
    plain = Settings()
    kafka = {"bootstrap": kafka_bootstrap, "topic_prefix": f"{own}.", "group": own, "session_timeout_s": 6.0, "fetch_max_wait_ms": 20}
    made = plain.model_copy(
        update={
            "kafka": plain.kafka.model_copy(update=kafka),
            "redis": plain.redis.model_copy(update={"url": SecretStr(redis_url)}),
        }
    )
    ensure_topics(made.kafka)
    return made


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[RedisSink]:
    sink = RedisSink(settings.redis)
    yield sink
    await sink.close()


@pytest.fixture
def producer(settings: Settings) -> Iterator[KafkaProducer]:
    with KafkaProducer(**kafka_options(settings.kafka)) as producer:
        yield producer


@asynccontextmanager
async def worker(settings: Settings, directory: Path, name: str, scoring_s: float = 0.0) -> AsyncIterator[asyncio.subprocess.Process]:
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
            process.kill()
            await process.wait()


async def until(condition: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def send(settings: Settings, producer: KafkaProducer, *records: InboundRecord) -> None:
    for record in records:
        producer.send(settings.kafka.topic_prefix + record.topic, key=record.key, value=record.value, headers=record.headers)
    producer.flush()


async def talk(settings: Settings, producer: KafkaProducer, *records: InboundRecord) -> None:
    """Send with pauses: of a burst, not every open window would be shown."""
    for record in records:
        send(settings, producer, record)
        await asyncio.sleep(0.15)


async def until_open(settings: Settings, session: SessionKey, end_ms: int) -> None:
    """Wait until a look at that open window, or one after it, is shown: those before it are closed."""
    partial = track_names(TrackKey(session, "customer")).partial
    async with asyncio.timeout(20), Redis.from_url(settings.redis.url.get_secret_value()) as redis:
        while int(await redis.hget(partial, "end_ms") or 0) < end_ms:
            await asyncio.sleep(0.05)


async def finals(store: RedisSink, session: SessionKey) -> list[tuple[int, float]]:
    return [(window.end_ms, window.score) for window in await store.finals(session)]


async def all_finals(store: RedisSink, session: SessionKey) -> list[tuple[int, float]]:
    async with asyncio.timeout(60):
        while len(found := await finals(store, session)) < len(EXPECTED):
            await asyncio.sleep(0.2)
    return found


def committed(settings: Settings, topic: str) -> int:
    """Records of the topic that the group need not read again."""
    with closing(KafkaConsumer(**kafka_options(settings.kafka), group_id=settings.kafka.group)) as consumer:
        return sum(consumer.committed(TopicPartition(topic, number)) or 0 for number in consumer.partitions_for_topic(topic) or ())


async def test_what_is_closed_is_published_and_committed_and_the_next_worker_goes_on(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    session, made, topics = SessionKey("acme", uuid.uuid4().hex[:8]), FakeWorker(), Topics(settings.kafka.topic_prefix)
    chunks = [made.words(seq, session=session.session) for seq in range(SECONDS)]
    async with worker(settings, tmp_path, "first", scoring_s=2.0) as first:
        await talk(settings, producer, made.event(START, session.session), *chunks[:8])
        await until_open(settings, session, 8000)
        assert await finals(store, session) == []
        first.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(first.wait(), 20) == 0
    assert await finals(store, session) == EXPECTED[:2]
    assert committed(settings, topics.chunks(Modality.TEXT)) == 4
    async with worker(settings, tmp_path, "second"):
        send(settings, producer, *chunks[8:], made.event(END, session.session))
        assert await all_finals(store, session) == EXPECTED
    ids = Counter(dict(record.headers)["ce_id"] for record in read_topic(settings.kafka, topics.scores))
    assert set(ids.values()) == {1}
    assert len(ids) == len(EXPECTED)


async def test_a_drain_ends_in_time_and_loses_nothing(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    session, made = SessionKey("acme", uuid.uuid4().hex[:8]), FakeWorker()
    hasty = settings.model_copy(update={"limits": settings.limits.model_copy(update={"drain_s": 0.5})})
    chunks = [made.words(seq, session=session.session) for seq in range(SECONDS)]
    async with worker(hasty, tmp_path, "first", scoring_s=60.0) as first:
        await talk(settings, producer, made.event(START, session.session), *chunks)
        await until_open(settings, session, 8000)
        first.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(first.wait(), 20) == 0
    assert await finals(store, session) == []
    assert "drain_cut_short" in (tmp_path / "first.log").read_text()
    async with worker(settings, tmp_path, "second"):
        send(settings, producer, made.event(END, session.session))
        assert await all_finals(store, session) == EXPECTED


async def test_a_second_signal_ends_it_at_once(settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path) -> None:
    session, made = SessionKey("acme", uuid.uuid4().hex[:8]), FakeWorker()
    patient = settings.model_copy(update={"limits": settings.limits.model_copy(update={"drain_s": 120})})
    chunks = [made.words(seq, session=session.session) for seq in range(SECONDS)]
    async with worker(patient, tmp_path, "first", scoring_s=60.0) as first:
        await talk(settings, producer, made.event(START, session.session), *chunks)
        await until_open(settings, session, 8000)
        first.send_signal(signal.SIGTERM)
        await until(lambda: "draining" in (tmp_path / "first.log").read_text(), 10)
        first.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(first.wait(), 5) == -signal.SIGTERM
    async with worker(settings, tmp_path, "second"):
        send(settings, producer, made.event(END, session.session))
        assert await all_finals(store, session) == EXPECTED
