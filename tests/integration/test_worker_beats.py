"""What workers say of themselves, on a real Redis."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from stream.agents.beat import Beating
from stream.agents.worker_state import WorkerState
from stream.aio.service_monitor import ServiceMonitor
from stream.config.service_settings import RedisSettings
from stream.domain.worker_beat import WorkerBeat
from stream.explain.word_effects import Truth
from stream.local.ports import free_port
from stream.sinks.connection import RedisConnection
from stream.sinks.keys import WORKERS
from stream.sinks.worker_beats import GONE_MS, KEPT_S, WorkerBeats


@pytest.fixture
async def redis_connection(redis_url: str) -> AsyncIterator[RedisConnection]:
    connection = RedisConnection(RedisSettings(url=SecretStr(redis_url)))
    yield connection
    await connection.close()


async def test_a_worker_says_how_it_is_and_goes_when_it_stops(redis_connection: RedisConnection, redis_url: str) -> None:
    beats, state = WorkerBeats(redis_connection), WorkerState(partitions=6)
    state.metrics.windows.labels("3").inc(7)
    state.metrics.count_word_truth(Truth(windows=4, top_right=3, claims=4, signs_right=4))
    _, before = await beats.all()
    async with Beating(RedisSettings(url=SecretStr(redis_url)), state, ServiceMonitor({})):
        async with asyncio.timeout(5):
            while len((await beats.all())[1]) == len(before):
                await asyncio.sleep(0.02)
        now_ms, found = await beats.all()
        (beat,) = [one for one in found if one.worker not in {old.worker for old in before}]
        assert (beat.partitions, beat.windows, beat.claims_checked, beat.claims_right) == (6, 7, 4, 3)
        assert 0 <= now_ms - beat.at_ms < 5_000
    assert beat.worker not in {one.worker for one in (await beats.all())[1]}


async def test_an_old_beat_and_one_that_cannot_be_read_are_forgotten(redis_connection: RedisConnection) -> None:
    beats, name = WorkerBeats(redis_connection), uuid.uuid4().hex
    await beats.put(WorkerBeat(worker=name, at_ms=0, since_ms=1, partitions=None, windows=0))
    assert 0 < await redis_connection.once(lambda redis: redis.ttl(WORKERS)) <= KEPT_S
    now_ms, _ = await beats.all()
    stale = f'{{"worker":"{name}","at_ms":{now_ms - GONE_MS - 1},"since_ms":1,"partitions":null,"windows":0}}'
    await redis_connection.once(lambda redis: redis.hset(WORKERS, mapping={name: stale, f"{name}-broken": "{"}))
    assert name not in {one.worker for one in (await beats.all())[1]}
    assert not await redis_connection.once(lambda redis: redis.hexists(WORKERS, f"{name}-broken"))


async def test_a_worker_without_redis_works_on() -> None:
    settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"))
    async with Beating(settings, WorkerState(), ServiceMonitor({})):
        await asyncio.sleep(0.05)
