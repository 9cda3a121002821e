"""Results on a real Redis Cluster and behind a real Sentinel: nothing is lost or doubled when slots move and primaries die."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest
from kafka import KafkaProducer
from msgspec.structs import replace
from pydantic import SecretStr
from redis.crc import key_slot

from stream.config.service_settings import RedisSettings
from stream.domain.delivery import FinaliseOutcome
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, ScoreRecord, SessionRecord, encode_record
from stream.explain.session_summary import summarise
from stream.kafka_admin.connection import kafka_options
from stream.kafka_admin.topics import ensure_topics
from stream.local.ports import LOOPBACK
from stream.sinks.examine import examine
from stream.sinks.history import History
from stream.sinks.keys import session_names, track_names
from stream.sinks.problems import RedisProblem
from stream.sinks.reader import ResultReader
from stream.sinks.rebuild import refill
from stream.sinks.redis_sink import RedisSink
from tests.fakes.processing_context import FakeWorker
from tests.fakes.results import SESSION, make_explanation, make_partial, make_score
from tests.support.delivery import END, EXPECTED, SECONDS, START, finals, send, unique_sessions, worker
from tests.support.finals import finalise
from tests.support.redis_servers import PRIMARY, RedisClusterNodes, documented_rights, redis_cluster, redis_node, watched_redis
from tests.support.settings import own_settings

ENDS = tuple(range(4000, 28_000, 2000))


def settings_for(url: str) -> RedisSettings:
    return RedisSettings(url=SecretStr(url), timeout_s=1.0)


async def write(sink: RedisSink, session: SessionKey, token: int, ends: tuple[int, ...], pause_s: float) -> list[FinaliseOutcome]:
    """Make windows final one after the other, as a publisher does."""
    outcomes = []
    for end_ms in ends:
        outcomes.append(await finalise(sink, make_score(end_ms, end_ms / 4000, session=session), token))
        await asyncio.sleep(pause_s)
    return outcomes


async def ends_of(sink: RedisSink, session: SessionKey) -> list[int]:
    return [final.end_ms for final in await sink.finals(session)]


async def follow(reader: ResultReader, windows: int) -> list[tuple[str, str, int]]:
    """Session, kind and end of records, until all windows have come."""
    found: list[tuple[str, str, int]] = []
    async with asyncio.timeout(40):
        async for received in reader:
            record = received.record
            if isinstance(record, ScoreRecord | ExplanationRecord):
                found.append((record.session, type(record).__name__, record.end_ms))
            if len(found) == 2 * windows:
                break
    return found


async def test_a_cluster_is_recognised_and_keeps_the_rules(tmp_path: Path, tansu_bootstrap: str) -> None:
    async with redis_cluster(tmp_path) as cluster:
        settings = settings_for(cluster.url)
        found = await examine(settings, writes=True)
        assert (found.problem, found.mode) == (None, "cluster")
        for node in cluster.nodes:
            await node.call("ACL", "SETUSER", "limited", "on", ">word", *documented_rights().split())
        assert (await examine(settings_for(cluster.url.replace("://", "://limited:word@")), writes=True)).problem is None
        sessions = [SessionKey("acme", name) for name in unique_sessions(30)]
        owners = {(await cluster.owner(session_names(session).state)).port for session in sessions}
        assert len(owners) == 3
        sink = RedisSink(settings)
        tokens = [await sink.next_token() for _ in range(3)]
        assert tokens == sorted(set(tokens))
        async with ResultReader(settings, poll_s=60) as reader:
            reading = asyncio.create_task(follow(reader, 2 * len(sessions)))
            await asyncio.sleep(0.3)
            for end_ms in (4000, 6000):
                outcomes = await asyncio.gather(*(finalise(sink, make_score(end_ms, session=session), tokens[2]) for session in sessions))
                assert set(outcomes) == {FinaliseOutcome.ACCEPTED}
            seen = await asyncio.wait_for(reading, 10)
        assert len(set(seen)) == len(seen)
        for session in sessions:
            mine = [(kind, end_ms) for name, kind, end_ms in seen if name == session.session]
            assert mine == [(kind, end_ms) for end_ms in (4000, 6000) for kind in ("ScoreRecord", "ExplanationRecord")]
        replays = [finalise(sink, make_score(6000, session=session), tokens[2]) for session in sessions]
        assert set(await asyncio.gather(*replays)) == {FinaliseOutcome.REPLAYED}
        zombies = [finalise(sink, make_score(8000, session=session), tokens[0]) for session in sessions]
        assert set(await asyncio.gather(*zombies)) == {FinaliseOutcome.FENCED}

        replicated = [session for session in sessions if await cluster.owner(session_names(session).state) is cluster.primaries[0]]
        alone = next(session for session in sessions if session not in replicated)
        careful = RedisSink(settings.model_copy(update={"confirm_replicas": 1}), logs=False)
        confirmed = [finalise(careful, make_score(8000, session=session), tokens[2]) for session in replicated]
        assert set(await asyncio.gather(*confirmed)) == {FinaliseOutcome.ACCEPTED}
        unconfirmed = asyncio.create_task(finalise(careful, make_score(8000, session=alone), tokens[2]))
        await asyncio.sleep(1.0)
        problem = await careful.problem()
        assert problem is not None
        assert (problem.code, unconfirmed.done()) == ("unconfirmed", False)
        unconfirmed.cancel()
        await careful.close()

        session = next(session for session in sessions if session not in (*replicated, alone))
        await sink.put_partial(replace(make_partial(8000), tenant=session.tenant, session=session.session))
        assert [a.epoch for a in await sink.begin_epoch(session, 0, 1_700_000_000_000, 5000, 0)] == [1]
        await sink.put_summary(summarise(session, 0, await sink.finals(session)))
        last = await sink.last_final(TrackKey(session, "customer"))
        assert last is not None
        assert (last.epoch, last.end_ms) == (0, 6000)
        history = History(finals_per_track=10)
        for record in (make_score(4000, session=session), make_score(8000, session=session)):
            for result in (record, make_explanation(record)):
                history.add(encode_record(result), 1)
        report = await refill(history, sink)
        assert (report.present, report.refilled) == (1, 1)
        async with ResultReader(settings, [session]) as reader:
            async with asyncio.timeout(10):
                async for received in reader:
                    if isinstance(received.record, SessionRecord):
                        break

        own, factory, calls = own_settings("cluster", tansu_bootstrap, cluster.url), FakeWorker(), unique_sessions(6)
        ensure_topics(own.kafka)
        async with worker(own, tmp_path, "worker"):
            with KafkaProducer(**kafka_options(own.kafka)) as producer:
                for call in calls:
                    chunks = [factory.words(seq, session=call) for seq in range(SECONDS)]
                    send(producer, own.kafka.topic_prefix, factory.event(START, call), *chunks, factory.event(END, call))
            assert await finals(sink, calls) == [EXPECTED] * len(calls)
        await sink.close()


async def test_slots_that_move_and_a_primary_that_dies_lose_and_double_nothing(tmp_path: Path) -> None:
    async with redis_cluster(tmp_path) as cluster:
        settings = settings_for(cluster.url)
        sink, zombie = RedisSink(settings), RedisSink(settings)
        old, token = await sink.next_token(), await sink.next_token()
        sessions = [SessionKey("acme", name) for name in unique_sessions(24)]
        async with ResultReader(settings, sessions) as reader:
            reading = asyncio.create_task(follow(reader, len(ENDS) * len(sessions)))
            writing = asyncio.gather(*(write(sink, session, token, ENDS, 0.25) for session in sessions))
            await asyncio.sleep(0.5)
            await move_some(cluster, sessions)
            cluster.primaries[0].process.kill()
            outcomes = await asyncio.wait_for(writing, 40)
            seen = await reading
        assert {outcome for of_session in outcomes for outcome in of_session} == {FinaliseOutcome.ACCEPTED}
        assert [await ends_of(sink, session) for session in sessions] == [list(ENDS)] * len(sessions)
        assert len(seen) == len(set(seen))
        assert set(await asyncio.gather(*(finalise(zombie, make_score(90_000, session=session), old) for session in sessions))) == {
            FinaliseOutcome.FENCED
        }
        assert await zombie.next_token() > token
        await sink.close()
        await zombie.close()


async def move_some(cluster: RedisClusterNodes, sessions: list[SessionKey]) -> None:
    """Move the slots of one session of each primary to the next primary."""
    moved = set()
    for session in sessions:
        state = session_names(session).state
        owner = await cluster.owner(state)
        if owner not in moved:
            moved.add(owner)
            await cluster.move(key_slot(state.encode()), cluster.primaries[(cluster.primaries.index(owner) + 1) % 3])


async def test_a_sentinel_that_fails_over_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with watched_redis(tmp_path) as watched:
        settings = settings_for(watched.url)
        found = await examine(settings, writes=True)
        assert (found.problem, found.mode) == (None, "standalone")
        unknown = await examine(settings_for(watched.url.replace(PRIMARY, "nobody")), writes=True)
        assert unknown.problem is not None
        assert unknown.problem.problem is RedisProblem.NO_SUCH_PRIMARY
        as_redis = await examine(settings_for(watched.sentinel.url), writes=True)
        assert as_redis.problem is not None
        assert as_redis.problem.problem is RedisProblem.SENTINEL
        as_sentinel = await examine(settings_for(f"redis+sentinel://{watched.primary.address}/{PRIMARY}"), writes=True)
        assert as_sentinel.problem is not None
        assert as_sentinel.problem.problem is RedisProblem.NO_SENTINEL

        sink = RedisSink(settings)
        token = await sink.next_token()
        sessions = [SessionKey("acme", name) for name in unique_sessions(8)]
        async with ResultReader(settings, sessions) as reader:
            reading = asyncio.create_task(follow(reader, len(ENDS) * len(sessions)))
            writing = asyncio.gather(*(write(sink, session, token, ENDS, 0.1) for session in sessions))
            await asyncio.sleep(0.5)
            watched.primary.process.kill()
            outcomes = await asyncio.wait_for(writing, 40)
            seen = await reading
        assert {outcome for of_session in outcomes for outcome in of_session} == {FinaliseOutcome.ACCEPTED}
        assert [await ends_of(sink, session) for session in sessions] == [list(ENDS)] * len(sessions)
        assert len(seen) == len(set(seen))
        await sink.close()


async def test_a_window_is_confirmed_by_a_replica_before_it_counts(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        primary = await stack.enter_async_context(redis_node(tmp_path, "--repl-diskless-sync-delay", "0"))
        replica = await stack.enter_async_context(redis_node(tmp_path, "--replicaof", f"{LOOPBACK} {primary.port}"))
        async with asyncio.timeout(20):
            while "connected" not in str(await replica.call("ROLE")):
                await asyncio.sleep(0.05)
        sink = RedisSink(settings_for(primary.url).model_copy(update={"confirm_replicas": 1}), logs=False)
        assert await finalise(sink, make_score(4000)) is FinaliseOutcome.ACCEPTED
        os.kill(replica.process.pid, signal.SIGSTOP)
        writing = asyncio.create_task(finalise(sink, make_score(6000)))
        await asyncio.sleep(1.2)
        problem = await sink.problem()
        assert problem is not None
        assert (problem.code, writing.done()) == ("unconfirmed", False)
        os.kill(replica.process.pid, signal.SIGCONT)
        assert await asyncio.wait_for(writing, 20) is FinaliseOutcome.ACCEPTED
        scores = track_names(TrackKey(SESSION, "customer")).scores
        assert await replica.call("XLEN", scores) == await primary.call("XLEN", scores) == 2
        await sink.close()


@pytest.mark.parametrize("name", ["default/call-1"])
def test_all_keys_of_a_session_are_in_one_slot(name: str) -> None:
    names = session_names(SessionKey.parse(name))
    assert len({key_slot(key.encode()) for key in (names.state, names.tracks, names.summary)}) == 1
