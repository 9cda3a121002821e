"""Outages of Apache Kafka and Redis under real workers: rebalances and shutdowns do not wait for them, and an outage is not silence."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kafka import KafkaProducer

from stream.agents.app import LEAVE_S
from stream.config.settings import Settings
from stream.kafka_admin.topics import ensure_topics
from stream.local.redis_server import RedisServer
from stream.sinks.redis_sink import RedisSink
from tests.fakes.processing_context import FakeWorker
from tests.support.delivery import END, EXPECTED, SECONDS, START, finals, send, unique_sessions, worker
from tests.support.kafka import ApacheKafka, why_unavailable
from tests.support.settings import own_settings

QUICK_RETURN = "broker.session.timeout.ms=2000\nbroker.heartbeat.interval.ms=500\n"


@pytest.fixture
async def kafka(tmp_path: Path) -> AsyncIterator[ApacheKafka]:
    reason = why_unavailable()
    if reason:
        pytest.skip(reason)
    broker = ApacheKafka(tmp_path / "kafka", extra_properties=QUICK_RETURN)
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
def settings(kafka: ApacheKafka, server: RedisServer) -> Settings:
    own = own_settings("outage", kafka.bootstrap, server.url, partitions=3, session_timeout_s=4.0, fetch_max_wait_ms=20)
    ensure_topics(own.kafka)
    return own


async def test_a_broker_outage_is_not_silence(settings: Settings, kafka: ApacheKafka, tmp_path: Path) -> None:
    """The chunks of an open window arrive before and after an outage that lasts longer than a modality may be quiet."""
    (session,), factory, prefix = unique_sessions(1), FakeWorker(), settings.kafka.topic_prefix
    store = RedisSink(settings.redis)
    assert settings.windows.idle_after_ms < 3000
    async with worker(settings, tmp_path, "one"):
        with KafkaProducer(bootstrap_servers=kafka.bootstrap, reconnect_backoff_max_ms=200) as producer:
            send(producer, prefix, factory.event(START, session), *(factory.words(seq, session=session) for seq in range(6)))
            await asyncio.sleep(0.5)
            kafka.kill()
            await asyncio.sleep(3)
            await kafka.start()
            await asyncio.sleep(4)  # producers reconnect later than workers
            send(producer, prefix, *(factory.words(seq, session=session) for seq in range(6, SECONDS)), factory.event(END, session))
        assert await finals(store, [session]) == [EXPECTED]
    await store.close()


async def test_neither_a_rebalance_nor_a_shutdown_waits_for_redis(settings: Settings, server: RedisServer, tmp_path: Path) -> None:
    (session,), factory, prefix = unique_sessions(1), FakeWorker(), settings.kafka.topic_prefix
    server.process.kill()
    chunks = [factory.words(seq, session=session) for seq in range(SECONDS)]
    with KafkaProducer(bootstrap_servers=settings.kafka.bootstrap) as producer:
        send(producer, prefix, factory.event(START, session), *chunks, factory.event(END, session))
    async with worker(settings, tmp_path, "first") as first:
        await asyncio.sleep(1)
        first.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(first.wait(), 10) == 0
    async with worker(settings, tmp_path, "second"):
        await server.start()
        store = RedisSink(settings.redis)
        assert await finals(store, [session]) == [EXPECTED]
        await store.close()


async def test_a_worker_that_is_told_to_stop_while_kafka_is_away_ends_in_order(
    settings: Settings, kafka: ApacheKafka, tmp_path: Path
) -> None:
    """There are results to publish and offsets to commit. Faust alone would wait for them until Kafka is back."""
    sessions, factory, store = unique_sessions(40), FakeWorker(), RedisSink(settings.redis)
    hasty = settings.model_copy(update={"limits": settings.limits.model_copy(update={"drain_s": 3.0})})
    async with worker(hasty, tmp_path, "first") as first:
        with KafkaProducer(bootstrap_servers=settings.kafka.bootstrap) as producer:
            for session in sessions:
                chunks = (factory.words(seq, session=session) for seq in range(SECONDS))
                send(producer, settings.kafka.topic_prefix, factory.event(START, session), *chunks, factory.event(END, session))
        kafka.kill()
        await asyncio.sleep(1)
        first.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(first.wait(), hasty.limits.drain_s + LEAVE_S + 5) == 0
    await kafka.start()
    async with worker(settings, tmp_path, "second"):
        assert await finals(store, sessions) == [EXPECTED] * len(sessions)
    await store.close()
    assert "Traceback" not in (tmp_path / "first.log").read_text()
