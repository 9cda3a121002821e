"""Epoch assignments on a real Redis."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from stream.config.service_settings import RedisSettings
from stream.domain.epoch import EpochAssignment, SessionEpochs
from stream.local.redis_server import RedisServer
from stream.pipeline.ports import ResultStore
from stream.sinks.keys import session_names
from stream.sinks.redis_sink import RedisSink
from tests.fakes.processing_context import FakeStore
from tests.fakes.results import SESSION, make_explanation, make_score

WITHIN_MS = 5000


@pytest.fixture
def redis_settings(server: RedisServer) -> RedisSettings:
    return RedisSettings(url=SecretStr(server.url), timeout_s=0.5, result_ttl_s=1000)


async def steps(store: ResultStore) -> list[SessionEpochs]:
    """The epochs of a session in a store, after each of several assignments and a final window."""
    epochs = [await store.epochs(SESSION)]
    for declared, media_start_at_ms, after in (
        (0, 60_000, 0),
        (0, 60_300, 0),
        (0, 56_000, 0),
        (0, 90_000, 1),
        (0, 300_000, 0),
        (1, 0, -1),
        (1, 0, -1),
        (7, 400_000, 7),
    ):
        assignments = await store.begin_epoch(SESSION, declared, media_start_at_ms, WITHIN_MS, after)
        epochs.append(await store.epochs(SESSION))
        assert assignments == epochs[-1].assignments
    score = make_score(4000, epoch=20)
    await store.finalise(score, make_explanation(score), 1)
    await store.begin_epoch(SESSION, 0, 900_000, WITHIN_MS, 8)
    return [*epochs, await store.epochs(SESSION)]


async def test_each_media_clock_gets_one_number_higher_than_any_before(sink: RedisSink) -> None:
    epochs = await steps(sink)
    assert epochs[0] == SessionEpochs()
    assert epochs[3] == SessionEpochs((EpochAssignment(1, 0, 60_000),))
    assert epochs[-1] == SessionEpochs(
        (
            EpochAssignment(1, 0, 60_000),
            EpochAssignment(2, 0, 90_000),
            EpochAssignment(3, 1, 0),
            EpochAssignment(8, 7, 400_000),
            EpochAssignment(21, 0, 900_000),
        ),
        final=20,
    )
    assert await steps(FakeStore()) == epochs


async def test_workers_that_notice_the_same_restart_get_the_same_number(sink: RedisSink) -> None:
    answers = await asyncio.gather(*(sink.begin_epoch(SESSION, 0, 60_000 + jitter, WITHIN_MS, 0) for jitter in range(20)))
    assert len(set(answers)) == 1
    assert len(answers[0]) == 1


async def test_assignments_live_as_long_as_results_and_are_not_replaced(sink: RedisSink, server: RedisServer) -> None:
    await sink.begin_epoch(SESSION, 0, 60_000, WITHIN_MS, 0)
    await sink.restore_assignment(SESSION, EpochAssignment(1, 0, 1))
    await sink.restore_assignment(SESSION, EpochAssignment(2, 0, -2))
    assert (await sink.epochs(SESSION)).assignments == (EpochAssignment(1, 0, 60_000), EpochAssignment(2, 0, -2))
    redis = Redis.from_url(server.url)
    assert 0 < await redis.ttl(session_names(SESSION).state) <= 1000
    await redis.aclose()
