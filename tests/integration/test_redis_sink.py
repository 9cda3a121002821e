"""The sink on a real Redis: windows become final once and in order, zombies are fenced off, and outages are waited out."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from stream.config.service_settings import RedisSettings
from stream.domain.clock_skew import ClockSkews
from stream.domain.context import CONTEXT_KEPT, ContextFeatures, OpenSentence, packed_mean
from stream.domain.delivery import FinaliseOutcome
from stream.domain.identity import TrackKey
from stream.domain.media_format import VOICE_WIDTH
from stream.domain.modality import Modality
from stream.explain.changes import compared
from stream.explain.session_summary import summarise
from stream.local.ports import choose_port
from stream.local.redis_server import RedisServer
from stream.sinks.keys import SESSIONS, session_names, track_names
from stream.sinks.redis_sink import RedisSink
from tests.fakes.results import SESSION, make_explanation, make_partial, make_score, make_sync
from tests.support.finals import finalise

TRACK = TrackKey(SESSION, "customer")


@pytest.fixture
def redis_settings(server: RedisServer) -> RedisSettings:
    return RedisSettings(url=SecretStr(server.url), timeout_s=0.5, stream_length=10, result_ttl_s=1000)


async def test_a_window_is_final_once(sink: RedisSink) -> None:
    assert await finalise(sink, make_score(4000, 1.0)) is FinaliseOutcome.ACCEPTED
    assert await finalise(sink, make_score(4000, -1.0), token=2) is FinaliseOutcome.REPLAYED
    assert await finalise(sink, make_score(3000), token=2) is FinaliseOutcome.REPLAYED
    assert [final.score for final in await sink.finals(SESSION)] == [1.0]
    assert await newest(sink) == (0, 4000, {})
    latest = await sink.latest(TRACK)
    assert latest is not None
    assert (latest.epoch, latest.end_ms) == (0, 4000)
    assert await sink.latest(TrackKey(SESSION, "nobody")) is None


async def test_windows_that_share_a_round_trip_get_their_own_answers(sink: RedisSink, redis: Redis) -> None:
    await finalise(sink, make_score(4000), token=2)
    await redis.script_flush()
    outcomes = tuple(
        await asyncio.gather(
            finalise(sink, make_score(4000, track="agent"), token=2),
            finalise(sink, make_score(6000), token=1),
            finalise(sink, make_score(4000), token=2),
            finalise(sink, make_score(6000), token=2),
        )
    )
    assert outcomes == (FinaliseOutcome.ACCEPTED, FinaliseOutcome.FENCED, FinaliseOutcome.REPLAYED, FinaliseOutcome.ACCEPTED)


async def test_of_two_workers_both_get_the_version_that_the_first_has_pinned(sink: RedisSink) -> None:
    assert await sink.promoted_version() is None
    assert await asyncio.gather(*(sink.pin_version(SESSION, 0, version) for version in ("1", "2"))) == ["1", "1"]
    assert await sink.pin_version(SESSION, 1, "2") == "2"


async def test_a_final_window_pins_its_epoch_again_after_redis_was_emptied(sink: RedisSink, redis: Redis) -> None:
    assert await sink.pin_version(SESSION, 0, "1") == "1"
    await redis.flushall()
    await finalise(sink, make_score(4000))
    assert await sink.pin_version(SESSION, 0, "2") == "1"


def contribution(end_ms: int, track: str = "customer", epoch: int = 0) -> ContextFeatures:
    means = {Modality.AUDIO: packed_mean(np.full((1, VOICE_WIDTH), end_ms / 7, np.float32))}
    sentence = OpenSentence(("où", "“est", "ça"), end_ms - 900, end_ms - 100, from_before=True)
    return ContextFeatures(track, epoch, end_ms, means, end_ms - 4000, 37, sentence)


async def test_contributions_are_kept_with_their_windows_and_bounded(sink: RedisSink, server: RedisServer) -> None:
    assert await sink.context(SESSION, 0) == []
    ends = [2000 * number for number in range(2, CONTEXT_KEPT + 5)]
    for end_ms in ends:
        score = make_score(end_ms)
        assert await sink.finalise(score, make_explanation(score), 2, contribution(end_ms)) is FinaliseOutcome.ACCEPTED
        assert await sink.finalise(score, make_explanation(score), 2, contribution(end_ms)) is FinaliseOutcome.REPLAYED
        assert await sink.finalise(make_score(end_ms + 1), make_explanation(score), 1, contribution(end_ms + 1)) is FinaliseOutcome.FENCED
    other = make_score(4000, track="agent")
    await sink.finalise(other, make_explanation(other), 2, contribution(4000, "agent"))
    assert sorted(await sink.context(SESSION, 0), key=lambda features: features.window) == [
        contribution(4000, "agent"),
        *(contribution(end_ms) for end_ms in ends[-CONTEXT_KEPT:]),
    ]
    later = make_score(4000, epoch=1)
    await sink.finalise(later, make_explanation(later), 2, contribution(4000, epoch=1))
    assert await sink.context(SESSION, 1) == [contribution(4000, epoch=1)]
    redis = Redis.from_url(server.url)
    assert await redis.llen(track_names(TRACK).context) == CONTEXT_KEPT
    assert 0 < await redis.ttl(track_names(TRACK).context) <= 1000
    await redis.aclose()


async def newest(sink: RedisSink) -> tuple[int, int, ClockSkews]:
    last = await sink.last_final(TRACK)
    assert last is not None
    return last.epoch, last.end_ms, last.clock_skews


async def test_the_last_final_window_comes_with_its_clock_skews(sink: RedisSink) -> None:
    assert await sink.last_final(TRACK) is None
    for end_ms, offset_ms in ((4000, 0.1 + 0.2), (6000, -151.284)):
        await finalise(sink, make_score(end_ms, sync=make_sync(offset_ms)))
        assert await newest(sink) == (0, end_ms, make_sync(offset_ms))
    await finalise(sink, make_score(4000, sync=make_sync(7.0)))
    await finalise(sink, make_score(8000, track="agent", sync=make_sync(8.0)))
    assert await newest(sink) == (0, 6000, make_sync(-151.284))
    await finalise(sink, make_score(8000))
    assert await newest(sink) == (0, 8000, {})


async def test_what_later_scores_are_compared_with_is_kept_with_the_window(sink: RedisSink) -> None:
    async def kept() -> tuple[int, int, int] | None:
        last = await sink.last_final(TRACK)
        assert last is not None
        return None if last.scores is None else (last.scores.epoch, last.scores.first.end_ms, last.scores.newest.end_ms)

    await finalise(sink, make_score(2000, None))
    assert await kept() is None
    for end_ms, points in ((4000, 0.1 + 0.2), (6000, -1.0), (8000, None)):
        score, last = make_score(end_ms, points), await sink.last_final(TRACK)
        assert last is not None
        assert await sink.finalise(score, compared(score, make_explanation(score), last.scores), 1) is FinaliseOutcome.ACCEPTED
    assert await kept() == (0, 4000, 6000)
    await finalise(sink, make_score(6000, 2.0))
    assert await kept() == (0, 4000, 6000), "a replay changes nothing"
    await finalise(sink, make_score(4000, 1.0, epoch=1))
    assert await kept() == (1, 4000, 4000)


async def test_a_zombie_is_refused_on_every_track_and_even_for_a_replay(sink: RedisSink) -> None:
    await finalise(sink, make_score(4000), token=7)
    assert await finalise(sink, make_score(6000), token=6) is FinaliseOutcome.FENCED
    assert await finalise(sink, make_score(4000, track="agent"), token=6) is FinaliseOutcome.FENCED
    assert await finalise(sink, make_score(4000), token=6) is FinaliseOutcome.FENCED
    assert await finalise(sink, make_score(6000), token=7) is FinaliseOutcome.ACCEPTED


async def test_a_replay_by_a_new_owner_already_fences_the_old_one(sink: RedisSink) -> None:
    await finalise(sink, make_score(4000), token=1)
    assert await finalise(sink, make_score(4000), token=2) is FinaliseOutcome.REPLAYED
    assert await finalise(sink, make_score(6000), token=1) is FinaliseOutcome.FENCED


async def test_a_new_epoch_starts_media_time_over(sink: RedisSink) -> None:
    await finalise(sink, make_score(9000))
    assert await finalise(sink, make_score(4000, epoch=1)) is FinaliseOutcome.ACCEPTED
    assert await finalise(sink, make_score(11_000)) is FinaliseOutcome.REPLAYED
    assert [(f.epoch, f.end_ms) for f in await sink.finals(SESSION)] == [(0, 9000), (1, 4000)]


async def test_tracks_do_not_hold_each_other_back(sink: RedisSink) -> None:
    await finalise(sink, make_score(8000))
    assert await finalise(sink, make_score(4000, track="agent")) is FinaliseOutcome.ACCEPTED


async def test_a_stream_that_outlived_the_state_still_refuses_replays(sink: RedisSink, redis: Redis) -> None:
    await finalise(sink, make_score(4000))
    await redis.delete(session_names(SESSION).state)
    assert await finalise(sink, make_score(4000)) is FinaliseOutcome.REPLAYED
    assert await finalise(sink, make_score(6000)) is FinaliseOutcome.ACCEPTED


async def test_everything_of_a_session_expires_but_tokens_do_not(sink: RedisSink, redis: Redis) -> None:
    await sink.next_token()
    await sink.put_partial(make_partial(4000))
    await finalise(sink, make_score(4000))
    await sink.put_partial(make_partial(6000))
    await sink.put_summary(summarise(SESSION, 0, await sink.finals(SESSION)))
    keys = await redis.keys("sentistream:{*")
    assert len(keys) == 7
    assert all([900 < await redis.ttl(key) <= 1000 for key in keys])
    assert await redis.ttl("sentistream:fence") == -1


async def test_expired_sessions_are_no_longer_active(sink: RedisSink, redis: Redis) -> None:
    await redis.zadd(SESSIONS, {"default/old": 1})
    await finalise(sink, make_score(4000))
    assert await redis.zrange(SESSIONS, 0, -1) == [str(SESSION)]


async def test_streams_are_bounded(sink: RedisSink, redis: Redis) -> None:
    for number in range(250):
        await finalise(sink, make_score(4000 + number))
    assert await redis.xlen(track_names(TRACK).scores) < 150
    assert await redis.xlen(track_names(TRACK).explanations) < 150


async def test_tokens_rise_even_after_redis_lost_its_data(sink: RedisSink, redis: Redis) -> None:
    tokens = [await sink.next_token() for _ in range(3)]
    await redis.flushall()
    tokens.append(await sink.next_token())
    assert tokens == sorted(set(tokens))


async def test_scripts_survive_a_server_that_forgot_them(sink: RedisSink, redis: Redis) -> None:
    await finalise(sink, make_score(4000))
    await redis.script_flush()
    assert await finalise(sink, make_score(6000)) is FinaliseOutcome.ACCEPTED


async def test_a_final_window_removes_its_partial_result_and_refuses_an_older_one(sink: RedisSink, redis: Redis) -> None:
    partial = track_names(TRACK).partial
    await sink.put_partial(make_partial(4000))
    await sink.put_partial(make_partial(6000))
    await sink.put_partial(make_partial(4000, revision=1))
    assert await redis.hget(partial, "end_ms") == "6000"
    await finalise(sink, make_score(4000))
    assert await redis.exists(partial)
    await finalise(sink, make_score(6000))
    assert not await redis.exists(partial)
    await sink.put_partial(make_partial(6000, revision=2))
    assert not await redis.exists(partial)


async def test_the_newest_window_is_readable_without_sentistream(sink: RedisSink, redis: Redis) -> None:
    score = make_score(4000, -1.25)
    await finalise(sink, score)
    latest = await redis.hgetall(track_names(TRACK).latest)
    assert (latest["score"], latest["label"], latest["window_id"]) == ("-1.25", "neutral", score.window_id)
    assert latest["sentence"] == "Because."


async def test_a_window_in_which_nothing_was_said_leaves_no_number_of_the_window_before(sink: RedisSink, redis: Redis) -> None:
    await finalise(sink, make_score(4000, -1.25))
    nothing = make_score(6000, None)
    await finalise(sink, nothing)
    latest = await redis.hgetall(track_names(TRACK).latest)
    assert set(latest) == {"window_id", "sentence", "record", "explanation"}
    assert latest["window_id"] == nothing.window_id
    assert await sink.latest(TRACK) == nothing
    assert [final.score for final in await sink.finals(SESSION)] == [-1.25, None]


async def test_a_summary_of_fewer_windows_does_not_replace_a_fuller_one(sink: RedisSink, redis: Redis) -> None:
    full = summarise(SESSION, 0, [make_score(4000), make_score(6000)])
    await sink.put_summary(full)
    await sink.put_summary(summarise(SESSION, 0, [make_score(4000)]))
    assert await redis.hget(session_names(SESSION).summary, "windows") == "2"
    await sink.put_summary(summarise(SESSION, 1, []))
    assert await redis.hget(session_names(SESSION).summary, "epoch") == "1"


async def test_a_frozen_server_pauses_the_sink_and_nothing_is_lost_or_doubled(sink: RedisSink, server: RedisServer) -> None:
    await finalise(sink, make_score(4000))
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        writing = asyncio.create_task(finalise(sink, make_score(6000, 2.0)))
        await asyncio.sleep(1.2)
        assert not writing.done()
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    assert await asyncio.wait_for(writing, 10) is FinaliseOutcome.ACCEPTED
    assert [final.end_ms for final in await sink.finals(SESSION)] == [4000, 6000]


async def test_a_killed_server_comes_back_with_its_data(sink: RedisSink, server: RedisServer) -> None:
    token = await sink.next_token()
    await finalise(sink, make_score(4000), token)
    server.process.kill()
    writing = asyncio.create_task(finalise(sink, make_score(6000), token))
    await asyncio.sleep(0.3)
    assert not writing.done()
    await server.start()
    assert await asyncio.wait_for(writing, 10) is FinaliseOutcome.ACCEPTED
    assert await finalise(sink, make_score(4000), token) is FinaliseOutcome.REPLAYED
    assert await sink.next_token() > token


async def test_ping_does_not_wait(tmp_path: Path) -> None:
    sink = RedisSink(RedisSettings(url=SecretStr(f"redis://127.0.0.1:{choose_port(0, 'nobody')}/0"), timeout_s=0.5))
    with pytest.raises(RedisConnectionError):
        await asyncio.wait_for(sink.ping(), 3)
    await sink.close()


async def test_partials_are_tried_once(sink: RedisSink, server: RedisServer) -> None:
    server.process.kill()
    with pytest.raises(RedisConnectionError):
        await asyncio.wait_for(sink.put_partial(make_partial(4000)), 3)
