"""Redis is emptied and refilled from the result topics of a real broker: its contents are as before, and live workers are not disturbed."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, cast

import pytest
from kafka import KafkaProducer
from msgspec.structs import replace
from redis.asyncio import Redis

from stream.config.settings import Settings
from stream.domain.context import ContextFeatures
from stream.domain.delivery import FinaliseOutcome
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.domain.topics import Topics
from stream.explain.changes import compared
from stream.explain.session_summary import summarise
from stream.kafka_admin.topics import ensure_topics
from stream.local.environment import child_environment
from stream.local.ports import free_port
from stream.local.redis_server import RedisServer
from stream.sinks.keys import session_names, track_names
from stream.sinks.rebuild import RebuildError, read_history, refill
from stream.sinks.redis_sink import RedisSink
from stream.sinks.results import Result, result_message
from tests.fakes.results import make_explanation, make_score, make_sync
from tests.support.settings import own_settings

ENDS = (4000, 6000, 8000, 10_000)
TRACKS = ("agent", "customer")


@pytest.fixture
def settings(kafka_bootstrap: str, server: RedisServer) -> Settings:
    own = own_settings("rebuild", kafka_bootstrap, server.url)
    ensure_topics(own.kafka)
    return own


def write(settings: Settings, producer: KafkaProducer, *records: Result) -> None:
    topics = Topics(settings.kafka.topic_prefix)
    names = {"ScoreRecord": topics.scores, "ExplanationRecord": topics.explanations, "SessionRecord": topics.summaries}
    for record in records:
        key, value, headers = result_message(record)
        producer.send(names[type(record).__name__], key=key, value=value, headers=headers)
    producer.flush()


async def explained(sink: RedisSink, score: ScoreRecord) -> ExplanationRecord:
    """The explanation of the next window of a track, with its change."""
    last = await sink.last_final(TrackKey(SessionKey(score.tenant, score.session), score.track))
    return compared(score, make_explanation(score), None if last is None else last.scores)


async def publish(settings: Settings, producer: KafkaProducer, sink: RedisSink, score: ScoreRecord, token: int) -> FinaliseOutcome:
    """Publish a window as a worker does: to both topics, then to Redis."""
    explanation = await explained(sink, score)
    write(settings, producer, score, explanation)
    return await sink.finalise(score, explanation, token)


async def publish_session(settings: Settings, producer: KafkaProducer, sink: RedisSink, session: SessionKey, token: int) -> None:
    """Publish two tracks of a session whose media clock starts again, repeat a window in Kafka as after a crash, and write the summary."""
    assignments = await sink.begin_epoch(session, 0, 1_700_000_000_000, 5000, 0)
    for epoch, end_ms in [(0, end) for end in ENDS] + [(1, 4000)]:
        for track in TRACKS:
            score = make_score(end_ms, end_ms / 4000, epoch=epoch, track=track, session=session, sync=make_sync(end_ms / 7))
            score = replace(score, run=assignments[0] if epoch else None)
            if (epoch, end_ms, track) == (0, ENDS[-1], "agent"):
                write(settings, producer, score, await explained(sink, score))
            await publish(settings, producer, sink, score, token)
    summary = summarise(session, 1, await sink.finals(session))
    write(settings, producer, summary)
    await sink.put_summary(summary)


async def contents(redis: Redis, session: SessionKey) -> dict[str, Any]:
    """Everything that Redis holds of a session, except the tokens."""
    names = session_names(session)
    state = cast(dict[str, str], await redis.hgetall(names.state))
    found: dict[str, Any] = {
        field: value.rpartition("-")[0] if field.startswith("last:") else value for field, value in state.items() if field != "token"
    }
    for track in cast(set[str], await redis.smembers(names.tracks)):
        of_track = track_names(TrackKey(session, track))
        for stream in (of_track.scores, of_track.explanations):
            found[stream] = await redis.xrange(stream)
        found[of_track.latest] = await redis.hgetall(of_track.latest)
    found[names.summary] = await redis.hgetall(names.summary)
    return found


async def command(settings: Settings, *arguments: str) -> tuple[int, str, str]:
    """Run `sentistream rebuild`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stream.cli", "rebuild", *arguments),
        env=child_environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_refilled_redis_is_as_before_and_refuses_replays(
    settings: Settings, producer: KafkaProducer, sink: RedisSink, redis: Redis
) -> None:
    sessions = [SessionKey("acme", f"call-{number}") for number in range(3)]
    token = await sink.next_token()
    for session in sessions:
        await publish_session(settings, producer, sink, session, token)
    before = {session: await contents(redis, session) for session in sessions}
    await redis.flushall()

    code, out, err = await command(settings, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert {name: report[name] for name in ("sessions", "refilled", "present", "overtaken", "summaries", "repeated")} == {
        "sessions": 3,
        "refilled": 30,
        "present": 0,
        "overtaken": 0,
        "summaries": 3,
        "repeated": 6,
    }
    assert report["conflicts"] == []
    assert {session: await contents(redis, session) for session in sessions} == before
    assert len(before[sessions[0]][track_names(TrackKey(sessions[0], "agent")).scores]) == 5

    code, out, _ = await command(settings)
    assert code == 0
    assert out == "3 sessions: 0 windows refilled, 30 already there, 0 overtaken by newer windows of their track; 0 alerts; 3 summaries\n"
    assert {session: await contents(redis, session) for session in sessions} == before

    replayed = make_score(6000, -3.0, epoch=0, session=sessions[0])
    assert await sink.finalise(replayed, make_explanation(replayed), token) is FinaliseOutcome.REPLAYED
    last = await sink.last_final(TrackKey(sessions[0], "customer"))
    assert last is not None
    assert (last.epoch, last.end_ms, last.clock_skews) == (1, 4000, make_sync(4000 / 7))
    following = make_score(6000, epoch=1, session=sessions[0])
    assert await sink.finalise(following, make_explanation(following), token) is FinaliseOutcome.ACCEPTED


async def test_contributions_to_the_context_are_not_refilled(
    settings: Settings, producer: KafkaProducer, sink: RedisSink, redis: Redis
) -> None:
    session, score = SessionKey("acme", "live"), make_score(4000, session=SessionKey("acme", "live"))
    write(settings, producer, score, make_explanation(score))
    contribution = ContextFeatures("customer", 0, 4000, {})
    await sink.finalise(score, make_explanation(score), 1, contribution)
    assert await sink.context(session, 0) == [contribution]
    await redis.flushall()
    assert (await refill(await read_history(settings.kafka, 100), sink)).refilled == 1
    assert await sink.context(session, 0) == []


async def test_a_live_worker_is_neither_fenced_nor_overtaken(
    settings: Settings, producer: KafkaProducer, sink: RedisSink, redis: Redis
) -> None:
    session = SessionKey("acme", "running")
    token = await sink.next_token()
    for end_ms in ENDS[:3]:
        await publish(settings, producer, sink, make_score(end_ms, session=session), token)
        await publish(settings, producer, sink, make_score(end_ms, track="agent", session=session), token)
    await redis.flushall()
    live = make_score(ENDS[3], session=session)
    assert await publish(settings, producer, sink, live, token) is FinaliseOutcome.ACCEPTED

    report = await refill(await read_history(settings.kafka, 100), sink)
    assert (report.refilled, report.present, report.overtaken) == (3, 1, 3)
    assert await sink.token(session) == token
    assert [(final.track, final.end_ms) for final in await sink.finals(session)] == [
        *(("agent", end_ms) for end_ms in ENDS[:3]),
        ("customer", ENDS[3]),
    ]
    following = make_score(ENDS[3], track="agent", session=session)
    assert await publish(settings, producer, sink, following, token) is FinaliseOutcome.ACCEPTED


async def test_a_single_session_is_refilled_and_different_content_is_reported(
    settings: Settings, producer: KafkaProducer, sink: RedisSink, redis: Redis
) -> None:
    wanted, other = SessionKey("default", "wanted"), SessionKey("default", "other")
    for session in (wanted, other):
        await publish_session(settings, producer, sink, session, 1)
    before = await contents(redis, wanted)
    differs = make_score(4000, -2.0, session=wanted)
    write(settings, producer, differs, make_explanation(differs))
    await redis.flushall()
    code, out, err = await command(settings, "--session", "wanted")
    assert code == 0
    assert out.startswith("1 sessions: 10 windows refilled, 0 already there")
    assert differs.window_id in err
    assert await contents(redis, wanted) == before
    assert await sink.finals(other) == []


async def test_failures_are_reported_in_one_sentence(settings: Settings) -> None:
    code, _, err = await command(settings, "--session", "never")
    assert code == 1
    assert err.endswith("the result topics have no result of default/never in that time\n")
    elsewhere = settings.kafka.model_copy(update={"topic_prefix": "nobody."})
    with pytest.raises(RebuildError, match=r"no topic nobody\.scores"):
        await read_history(elsewhere, 10)
    nowhere = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"bootstrap": f"127.0.0.1:{free_port()}"})})
    code, _, err = await command(nowhere)
    assert code == 1
    assert "Kafka does not answer" in err
    assert "Traceback" not in err
