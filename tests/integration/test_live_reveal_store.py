"""The sums of probes and the report of them, in a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stream.config.service_settings import RedisSettings
from stream.domain.live_reveal import HOUR_MS, LiveHour, LiveReport, LiveSums
from stream.sinks.connection import RedisConnection
from stream.sinks.keys import REVEAL
from stream.sinks.live_reveal import REPORT, LiveRevealStore

HOUR = 490_000
NOW = HOUR * HOUR_MS + 5


@pytest.fixture
async def redis(redis_settings: RedisSettings) -> AsyncIterator[RedisConnection]:
    connection = RedisConnection(redis_settings)
    yield connection
    await connection.close()


def hour(number: int, windows: int) -> LiveHour:
    return LiveHour(number, windows, {"1": {"hiss": LiveSums(windows, 0.5, 0.25, 0.1, 1)}})


async def test_a_worker_replaces_its_own_sums_and_others_keep_theirs(redis: RedisConnection) -> None:
    store = LiveRevealStore(redis, 24)
    await store.put("a", hour(HOUR, 1))
    await store.put("b", hour(HOUR, 5))
    await store.put("a", hour(HOUR, 2))
    await store.put("a", hour(HOUR - 1, 7))
    assert sorted(own.windows for own in await store.hours(NOW)) == [2, 5, 7]


async def test_old_hours_and_what_cannot_be_read_are_removed(redis: RedisConnection) -> None:
    store = LiveRevealStore(redis, 2)
    for number in (HOUR, HOUR - 1, HOUR - 2):
        await store.put("a", hour(number, 1))
    await redis.once(lambda client: client.hset(REVEAL, "junk", '{"hour": "x"}'))
    assert [own.hour for own in await store.hours(NOW)] == [HOUR - 1, HOUR]
    fields = await redis.once(lambda client: client.hkeys(REVEAL))
    assert sorted(fields) == [f"{HOUR - 1}:a", f"{HOUR}:a"]
    assert 0 < await redis.once(lambda client: client.ttl(REVEAL)) <= 2 * 3600


async def test_the_report_is_read_as_written_and_that_of_another_release_is_none(redis: RedisConnection) -> None:
    store = LiveRevealStore(redis, 24)
    assert await store.report() is None
    report = LiveReport(at_ms=NOW, since_ms=NOW - 5, windows=3, nuisances=())
    await store.put_report(report)
    assert await store.report() == report
    await redis.once(lambda client: client.hset(REVEAL, REPORT, '{"at_ms": "yesterday"}'))
    assert await store.report() is None
