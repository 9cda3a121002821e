"""Real Faust and Apache Kafka: rebalances in which seeking to the committed offsets takes long, because the broker is slow or away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP
from kafka import KafkaProducer

from stream.agents.app import WorkerApp
from stream.agents.faust_patches.transport import RewindingThread
from stream.config.settings import Settings
from stream.domain.epoch import SessionEpochs
from stream.domain.identity import SessionKey
from stream.kafka_admin.connection import kafka_options
from stream.kafka_admin.topics import ensure_topics
from stream.sinks.redis_sink import RedisSink
from tests.fakes.processing_context import FakeEncoder, FakeScorer, FakeWorker
from tests.support.delivery import END, EXPECTED, SECONDS, START, finals, send, unique_sessions, until, worker
from tests.support.settings import own_settings

SEEK_S = 1.5
"""Longer than Faust sleeps (1 s) while it has no partition to read from."""
EPOCHS_S = 0.03
"""Delay of each new session, so that records arrive faster than they are taken in."""

Seek = Callable[[RewindingThread], Awaitable[Mapping[TP, int]]]


@pytest.fixture
def settings(apache_bootstrap: str, redis_url: str) -> Settings:
    return own_settings("rebalances", apache_bootstrap, redis_url, session_timeout_s=6.0, fetch_max_wait_ms=20, partitions=2)


class SlowStore(RedisSink):
    """A Redis that is slow for each new session."""

    async def epochs(self, session: SessionKey) -> SessionEpochs:
        await asyncio.sleep(EPOCHS_S)
        return await super().epochs(session)


@asynccontextmanager
async def running(settings: Settings, directory: Path) -> AsyncIterator[tuple[WorkerApp, list[int]]]:
    """A worker in this process, and the number of partitions of each of its assignments so far."""
    store, assigned, stop = SlowStore(settings.redis), list[int](), asyncio.Event()
    app = WorkerApp(settings, directory, store=store, scorer=FakeScorer(), new_encoder=FakeEncoder, on_ready=assigned.append)
    work = asyncio.create_task(app.run(stop))
    try:
        yield app, assigned
    finally:
        stop.set()
        await work
        await store.close()


def send_sessions(producer: KafkaProducer, prefix: str, sessions: list[str]) -> None:
    """Send all records of the sessions as fast as possible."""
    factory = FakeWorker()
    send(producer, prefix, *(factory.event(START, session) for session in sessions))
    for seq in range(SECONDS):
        send(producer, prefix, *(factory.words(seq, session=session) for session in sessions))
    send(producer, prefix, *(factory.event(END, session) for session in sessions))


async def test_a_rebalance_that_overtakes_another_loses_nothing(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust would resume after the first rebalance, before the second has sought: what it reads then is lost (fault run 182001)."""
    seek: Seek = RewindingThread.seek_to_committed
    begun, sought = asyncio.Event(), asyncio.Event()

    async def late(thread: RewindingThread) -> Mapping[TP, int]:
        if (rebalance := thread.app.rebalancing_count) == 2:
            await begun.wait()
        elif rebalance == 3:
            await asyncio.sleep(SEEK_S)
        committed = await seek(thread)
        if rebalance == 2:
            sought.set()
        return committed

    async def on_revoked(faust: Any, /, *_args: Any, **_kwargs: Any) -> None:
        if faust.rebalancing_count == 3:
            begun.set()
            await sought.wait()

    monkeypatch.setattr(RewindingThread, "seek_to_committed", late)
    sessions = unique_sessions(60)
    async with running(settings, tmp_path) as (app, assigned):
        app._faust.on_partitions_revoked.connect(on_revoked)
        await until(lambda: len(assigned) == 1, 30)
        async with worker(settings, tmp_path, "second"):
            send_sessions(producer, settings.kafka.topic_prefix, sessions)
        await until(lambda: len(assigned) == 3, 30)
        assert await finals(store, sessions) == [EXPECTED] * len(sessions)


async def test_a_spare_worker_resumes_where_the_worker_before_it_stopped(
    settings: Settings, store: RedisSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust leaves the flow of a worker without partitions active: it would read from new partitions before it has sought."""
    seek: Seek = RewindingThread.seek_to_committed

    async def late(thread: RewindingThread) -> Mapping[TP, int]:
        await asyncio.sleep(SEEK_S)
        return await seek(thread)

    monkeypatch.setattr(RewindingThread, "seek_to_committed", late)
    kafka = settings.kafka.model_copy(update={"topic_prefix": f"{settings.kafka.topic_prefix}one.", "partitions": 1})
    settings, sessions = settings.model_copy(update={"kafka": kafka}), unique_sessions(60)
    ensure_topics(kafka)
    async with worker(settings, tmp_path, "first") as first, running(settings, tmp_path) as (_, assigned):
        await until(lambda: assigned == [0], 30)
        await asyncio.sleep(2)
        first.kill()
        with KafkaProducer(**kafka_options(kafka)) as producer:
            send_sessions(producer, kafka.topic_prefix, sessions)
        await until(lambda: assigned == [0, 4], 30)
        assert await finals(store, sessions) == [EXPECTED] * len(sessions)
