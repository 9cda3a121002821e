"""Alerts on a real broker and Redis: with their windows, once, whoever is killed, and back after Redis was emptied."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from kafka import KafkaProducer
from redis.asyncio import Redis

from stream.config.settings import Settings
from stream.config.worker_settings import AlertSettings
from stream.domain.alert import AlertRecord
from stream.domain.delivery import FinaliseOutcome, WindowAlerts
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, ScoreRecord, decode_record, encode_record
from stream.domain.topics import Topics
from stream.local.redis_server import RedisServer
from stream.rules.evaluate import encode_track_rules
from stream.sinks.keys import session_names
from stream.sinks.reader import ResultReader
from stream.sinks.rebuild import read_history, refill
from stream.sinks.redis_sink import RedisSink
from stream.sinks.results import Result, result_message
from tests.fakes.processing_context import FakeWorker
from tests.fakes.results import SESSION, make_explanation, make_score
from tests.support.delivery import END, EXPECTED, SECONDS, START, finals, send, unique_sessions, worker
from tests.support.kafka_records import read_topic
from tests.support.rules import RULES_FILE, alerts_of, rule_set
from tests.support.settings import own_settings

WINDOWS = [make_score(end_ms, points) for end_ms, points in ((4000, 4.0), (6000, 3.0), (8000, 1.0), (10_000, 4.0), (12_000, 4.0))]


@pytest.fixture
def settings(kafka_bootstrap: str, server: RedisServer) -> Settings:
    own = own_settings("alerts", kafka_bootstrap, server.url, session_timeout_s=6.0, fetch_max_wait_ms=20)
    return own.model_copy(update={"alerts": AlertSettings(rules=RULES_FILE)})


async def held(redis: Redis, session: SessionKey) -> list[AlertRecord]:
    entries = cast(Any, await redis.xrange(session_names(session).alerts))
    return [cast(AlertRecord, decode_record(fields["record"])) for _, fields in entries]


async def put(sink: RedisSink, scores: list[ScoreRecord], token: int = 1) -> list[FinaliseOutcome]:
    """Make windows final with their alerts, as a worker does that begins with the first of them."""
    rules, state, outcomes = rule_set(), None, []
    for score in scores:
        found = rules.evaluate(state, score, make_explanation(score))
        state = found.state
        alerts = WindowAlerts(found.alerts, encode_track_rules(state))
        outcomes.append(await sink.finalise(score, make_explanation(score), token, alerts=alerts))
    return outcomes


async def test_alerts_are_written_with_their_window_and_only_with_it(sink: RedisSink, redis: Redis) -> None:
    expected = alerts_of((score, make_explanation(score)) for score in WINDOWS)
    assert await put(sink, WINDOWS) == [FinaliseOutcome.ACCEPTED] * 5
    assert await held(redis, SESSION) == expected
    last = await sink.last_final(TrackKey(SESSION, "customer"))
    assert last is not None
    state = last.rules
    assert await put(sink, WINDOWS, token=2) == [FinaliseOutcome.REPLAYED] * 5
    assert await put(sink, [make_score(14_000, -1.0)], token=1) == [FinaliseOutcome.FENCED]
    assert await held(redis, SESSION) == expected
    last = await sink.last_final(TrackKey(SESSION, "customer"))
    assert last is not None
    assert last.rules == state
    assert 0 < await redis.ttl(session_names(SESSION).alerts) <= 7 * 24 * 3600


async def test_a_reader_gets_the_alerts_right_after_their_windows(sink: RedisSink, server: RedisServer) -> None:
    expected = alerts_of((score, make_explanation(score)) for score in WINDOWS)
    await put(sink, WINDOWS[:3])
    settings = Settings().redis.model_copy(update={"url": own_settings("a", "127.0.0.1:1", server.url).redis.url})
    found = []
    async with ResultReader(settings, [SESSION]) as reader, asyncio.timeout(20):
        await put(sink, WINDOWS)
        async for received in reader:
            found.append(received.record)
            if len(found) == 10 + len(expected):
                break
    assert [record for record in found if isinstance(record, AlertRecord)] == expected
    for before, record in itertools.pairwise(found):
        if isinstance(record, AlertRecord):
            assert isinstance(before, ExplanationRecord | AlertRecord)
            assert before.window_id == record.window_id
    behind = {TrackKey(SESSION, "customer"): f"0-{WINDOWS[2].end_ms}"}
    async with ResultReader(settings, [SESSION], after=behind) as reader:
        later = [received.record async for received in reader.held()]
    assert [record for record in later if isinstance(record, AlertRecord)] == [a for a in expected if a.end_ms > WINDOWS[2].end_ms]


async def test_a_killed_worker_loses_and_doubles_no_alert(
    settings: Settings, producer: KafkaProducer, sink: RedisSink, redis: Redis, tmp_path: Path
) -> None:
    sessions, factory, prefix = unique_sessions(6), FakeWorker(), settings.kafka.topic_prefix
    async with worker(settings, tmp_path, "first") as first, worker(settings, tmp_path, "second"):
        for session in sessions:
            send(producer, prefix, factory.event(START, session))
        for seq in range(SECONDS):
            send(producer, prefix, *(factory.words(seq, session=session) for session in sessions))
            await asyncio.sleep(0.2)
            if seq == SECONDS // 2:
                first.send_signal(signal.SIGKILL)
        for session in sessions:
            send(producer, prefix, factory.event(END, session))
        assert await finals(sink, sessions) == [EXPECTED] * len(sessions)
    topics = Topics(prefix)
    explanations = {json.loads(r.value)["window_id"]: decode_record(r.value) for r in read_topic(settings.kafka, topics.explanations)}
    in_kafka = {record.value for record in read_topic(settings.kafka, topics.alerts)}
    expected_in_kafka = set()
    for session in sessions:
        key = SessionKey("acme", session)
        scores = await sink.finals(key)
        expected = alerts_of((score, cast(ExplanationRecord, explanations[score.window_id])) for score in scores)
        assert len(expected) > 2
        assert await held(redis, key) == expected
        expected_in_kafka |= {encode_record(alert) for alert in expected}
    assert in_kafka == expected_in_kafka


async def test_an_emptied_redis_gets_its_alerts_and_the_state_of_the_rules_back(
    settings: Settings, producer: KafkaProducer, sink: RedisSink, redis: Redis
) -> None:
    topics, rules, state = Topics(settings.kafka.topic_prefix), rule_set(), None
    for score in WINDOWS:
        found = rules.evaluate(state, score, make_explanation(score))
        state = found.state
        explanation = make_explanation(score)
        records: list[tuple[str, Result]] = [(topics.scores, score), (topics.explanations, explanation)]
        for topic, record in records + [(topics.alerts, alert) for alert in found.alerts]:
            key, value, headers = result_message(record)
            producer.send(topic, key=key, value=value, headers=headers)
    producer.flush()
    await put(sink, WINDOWS)
    before = await held(redis, SESSION), await sink.last_final(TrackKey(SESSION, "customer"))
    await redis.flushall()
    report = await refill(await read_history(settings.kafka, 100), sink, rules=rules)
    assert (report.refilled, report.alerts) == (5, len(before[0]))
    assert (await held(redis, SESSION), await sink.last_final(TrackKey(SESSION, "customer"))) == before
    again = await refill(await read_history(settings.kafka, 100), sink, rules=rules)
    assert (again.present, again.alerts) == (5, 0)
    assert await held(redis, SESSION) == before[0]


async def test_rules_are_tried_on_stored_results(server: RedisServer, sink: RedisSink) -> None:
    await put(sink, WINDOWS)

    async def tried(*options: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stream.cli", "rules", "test", str(RULES_FILE), "--redis", server.url, *options),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode, out.decode(), err.decode()

    code, out, _ = await tried("--session", SESSION.session, "--json")
    found = json.loads(out)
    expected = alerts_of((score, make_explanation(score)) for score in WINDOWS)
    assert (code, found["windows"], [alert["alert_id"] for alert in found["alerts"]]) == (0, 5, [alert.alert_id for alert in expected])
    code, out, _ = await tried("--session", SESSION.session)
    assert code == 0
    assert f"{SESSION}: 5 windows in 12.0 s, 3 alerts raised" in out
    code, _, err = await tried("--session", "nobody")
    assert code == 1
    assert "Redis has no results of default/nobody" in err
