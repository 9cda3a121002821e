"""The version in force and the versions that epochs keep, in a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stream.config.service_settings import RedisSettings
from stream.explain.session_summary import summarise
from stream.sinks.promotions import Promotions
from stream.sinks.redis_sink import RedisSink
from tests.fakes.results import SESSION, make_score
from tests.support.finals import finalise


@pytest.fixture
async def promotions(redis_settings: RedisSettings) -> AsyncIterator[Promotions]:
    promotions = Promotions(redis_settings)
    yield promotions
    await promotions.close()


async def test_each_promotion_keeps_the_version_before_it_and_a_rollback_goes_there_once(promotions: Promotions, sink: RedisSink) -> None:
    assert (await promotions.in_force()).version is None
    for version, previous in (("2", "1"), ("3", "2"), ("3", "2")):
        promoted = await promotions.promote(version, "1")
        assert (promoted.version, promoted.previous) == (version, previous)
    assert promoted.at_ms > 1_700_000_000_000
    rolled_back = await promotions.roll_back()
    assert rolled_back is not None
    assert (rolled_back.version, rolled_back.previous) == ("2", None)
    assert await promotions.roll_back() is None
    assert await sink.promoted_version() == "2"


async def test_the_version_that_was_served_before_the_first_promotion_may_be_promoted(promotions: Promotions, sink: RedisSink) -> None:
    promoted = await promotions.promote("1", "1")
    assert (promoted.version, promoted.previous) == ("1", None)
    assert await sink.promoted_version() == "1"


async def test_epochs_count_until_their_summary_is_written(promotions: Promotions, sink: RedisSink) -> None:
    assert await promotions.open_epochs() == {}
    for epoch, version in ((0, "1"), (1, "2"), (2, "2")):
        await sink.pin_version(SESSION, epoch, version)
    final = make_score(4000)
    await finalise(sink, final)
    assert await promotions.open_epochs() == {"1": 1, "2": 2}
    await sink.put_summary(summarise(SESSION, 0, [final]))
    assert await promotions.open_epochs() == {"2": 2}
