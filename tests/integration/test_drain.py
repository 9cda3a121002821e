"""SIGTERM in the middle of a session, on real Faust, broker and Redis."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path

import pytest
from kafka import KafkaProducer
from redis.asyncio import Redis

from stream.config.settings import Settings
from stream.domain.delivery import InboundRecord
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.modality import Modality
from stream.domain.topics import Topics
from stream.sinks.keys import track_names
from stream.sinks.redis_sink import RedisSink
from tests.fakes.processing_context import FakeWorker
from tests.support.delivery import END, EXPECTED, SECONDS, START, committed, finals, send, unique_sessions, until, worker
from tests.support.kafka_records import read_topic
from tests.support.settings import own_settings


@pytest.fixture
def settings(kafka_bootstrap: str, redis_url: str) -> Settings:
    return own_settings("drain", kafka_bootstrap, redis_url, session_timeout_s=6.0, fetch_max_wait_ms=20)


async def send_slowly(settings: Settings, producer: KafkaProducer, *records: InboundRecord) -> None:
    """Send records with pauses. In a burst, not every open window would get a partial result."""
    for record in records:
        send(producer, settings.kafka.topic_prefix, record)
        await asyncio.sleep(0.15)


async def until_open(settings: Settings, session: str, end_ms: int) -> None:
    """Wait until there is a partial result of this window or a later one: the windows before it are closed then."""
    partial = track_names(TrackKey(SessionKey("acme", session), "customer")).partial
    async with asyncio.timeout(20), Redis.from_url(settings.redis.url.get_secret_value()) as redis:
        while int(await redis.hget(partial, "end_ms") or 0) < end_ms:
            await asyncio.sleep(0.05)


async def finals_so_far(store: RedisSink, session: str) -> list[tuple[int, float | None]]:
    (found,) = await finals(store, [session], seconds=0)
    return found


async def test_closed_windows_are_published_and_committed_and_the_next_worker_continues(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    (session,), factory, topics = unique_sessions(1), FakeWorker(), Topics(settings.kafka.topic_prefix)
    chunks = [factory.words(seq, session=session) for seq in range(SECONDS)]
    async with worker(settings, tmp_path, "first", scoring_s=2.0) as first:
        await send_slowly(settings, producer, factory.event(START, session), *chunks[:8])
        await until_open(settings, session, 8000)
        assert await finals_so_far(store, session) == []
        first.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(first.wait(), 20) == 0
    assert await finals_so_far(store, session) == EXPECTED[:2]
    assert committed(settings, topics.chunks(Modality.TEXT)) == 4
    async with worker(settings, tmp_path, "second"):
        send(producer, settings.kafka.topic_prefix, *chunks[8:], factory.event(END, session))
        assert await finals(store, [session]) == [EXPECTED]
    ids = Counter(dict(record.headers)["ce_id"] for record in read_topic(settings.kafka, topics.scores))
    assert set(ids.values()) == {1}
    assert len(ids) == len(EXPECTED)


async def test_a_drain_ends_in_time_and_loses_nothing(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    (session,), factory = unique_sessions(1), FakeWorker()
    hasty = settings.model_copy(update={"limits": settings.limits.model_copy(update={"drain_s": 0.5})})
    chunks = [factory.words(seq, session=session) for seq in range(SECONDS)]
    async with worker(hasty, tmp_path, "first", scoring_s=60.0) as first:
        await send_slowly(settings, producer, factory.event(START, session), *chunks)
        await until_open(settings, session, 8000)
        first.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(first.wait(), 20) == 0
    assert await finals_so_far(store, session) == []
    assert "drain_cut_short" in (tmp_path / "first.log").read_text()
    async with worker(settings, tmp_path, "second"):
        send(producer, settings.kafka.topic_prefix, factory.event(END, session))
        assert await finals(store, [session]) == [EXPECTED]


async def test_a_second_signal_ends_the_worker_at_once(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    (session,), factory = unique_sessions(1), FakeWorker()
    patient = settings.model_copy(update={"limits": settings.limits.model_copy(update={"drain_s": 120})})
    chunks = [factory.words(seq, session=session) for seq in range(SECONDS)]
    async with worker(patient, tmp_path, "first", scoring_s=60.0) as first:
        await send_slowly(settings, producer, factory.event(START, session), *chunks)
        await until_open(settings, session, 8000)
        first.send_signal(signal.SIGTERM)
        await until(lambda: "draining" in (tmp_path / "first.log").read_text(), 10)
        first.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(first.wait(), 5) == -signal.SIGTERM
    async with worker(settings, tmp_path, "second"):
        send(producer, settings.kafka.topic_prefix, factory.event(END, session))
        assert await finals(store, [session]) == [EXPECTED]
