"""A session is erased from a real Redis, broker and SQLite file, and neither a rebuild nor a worker brings it back."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
from kafka import KafkaProducer
from redis.asyncio import Redis

from stream.config.settings import Settings
from stream.config.worker_settings import ExplanationSettings
from stream.domain.alert import AlertRecord
from stream.domain.context import ContextFeatures
from stream.domain.identity import SessionKey
from stream.domain.modality import Modality
from stream.domain.topics import Topics
from stream.explain.session_summary import summarise
from stream.kafka_admin.topics import ensure_topics
from stream.local.environment import child_environment
from stream.local.redis_server import RedisServer
from stream.sinks.alert_queue import AlertQueue
from stream.sinks.connection import RedisConnection
from stream.sinks.forget import ForgetReport, Forgetting, RunningSessionError
from stream.sinks.keys import PREFIX
from stream.sinks.rebuild import read_history, refill
from stream.sinks.redis_sink import RedisSink
from stream.sinks.results import result_message
from stream.sinks.webhook_outbox import StoredMessage, WebhookOutbox
from stream.sinks.window_store import WindowStore
from tests.fakes.alerts import make_alert
from tests.fakes.processing_context import FakeWorker
from tests.fakes.results import make_explanation, make_partial, make_score
from tests.fakes.stored_windows import make_stored
from tests.support.delivery import END, SECONDS, START, committed, finals, send, unique_sessions, until, worker
from tests.support.gateways import running_gateway
from tests.support.settings import own_settings

ERASED, KEPT = SessionKey("default", "call-1"), SessionKey("default", "call-2")


@pytest.fixture
def settings(kafka_bootstrap: str, server: RedisServer, tmp_path: Path) -> Settings:
    own = own_settings("forget", kafka_bootstrap, server.url, session_timeout_s=6.0, fetch_max_wait_ms=20)
    ensure_topics(own.kafka)
    return own.model_copy(update={"explanations": ExplanationSettings(store=tmp_path / "windows.sqlite")})


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    connection = Redis.from_url(settings.redis.url.get_secret_value(), decode_responses=True)
    yield connection
    await connection.aclose()


@pytest.fixture
async def connection(settings: Settings) -> AsyncIterator[RedisConnection]:
    own = RedisConnection(settings.redis)
    yield own
    await own.close()


async def fill(settings: Settings, producer: KafkaProducer, session: SessionKey, *, ended: bool = True) -> None:
    """Everything that can be kept of a session, everywhere."""
    topics, sink = Topics(settings.kafka.topic_prefix), RedisSink(settings.redis)
    key = str(session).encode()
    for end_ms in (4000, 6000, 8000):
        score = make_score(end_ms, 1.0, session=session)
        explanation = make_explanation(score, "secretsentence")
        contribution = ContextFeatures("customer", 0, end_ms, {}, end_ms - 4000)
        await sink.finalise(score, explanation, 7, contribution)
        for topic, record in ((topics.scores, score), (topics.explanations, explanation)):
            _, value, headers = result_message(record)
            producer.send(topic, key=key, value=value, headers=headers)
        producer.send(topics.chunks(Modality.TEXT), key=key, value=b"secretwords")
    await sink.put_partial(msgspec.structs.replace(make_partial(10_000), tenant=session.tenant, session=session.session))
    if ended:
        summary = summarise(session, 0, await sink.finals(session))
        producer.send(topics.summaries, key=key, value=result_message(summary)[1])
        await sink.put_summary(summary)
    producer.flush()
    await sink.close()
    store = WindowStore(Path(str(settings.explanations.store)), retention_hours=1, max_mb=100)
    store.put(make_stored(4000, session=session.session))
    store.close()
    queue = AlertQueue(settings.redis)
    await queue.feed([alert_of(session)])
    await queue.close()
    outbox, own = RedisConnection(settings.redis), str(session)
    message = StoredMessage(session=own, kind="window.final", created_ms=1, body="{}")
    hooks = WebhookOutbox(outbox, "test")
    assert await hooks.hold()
    assert await hooks.advance(own, "1", [("desk", f"message-{own}", message)], 1)
    await outbox.close()


def alert_of(session: SessionKey) -> AlertRecord:
    return make_alert(tenant=session.tenant, session=session.session)


async def forget_command(settings: Settings, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stream.cli", "forget", *arguments),
        env=child_environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_session_is_erased_everywhere_and_the_others_stay(
    settings: Settings, producer: KafkaProducer, redis: Redis, connection: RedisConnection
) -> None:
    for session in (ERASED, KEPT):
        await fill(settings, producer, session)
    before = {key: await redis.type(key) for key in await redis.keys(f"{PREFIX}:{{{KEPT}}}:*")}
    code, out, err = await forget_command(settings, ERASED.session, "--tenant", ERASED.tenant, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["keys"]["found"] >= 7
    assert report["keys"]["left"] == 0
    assert report["cases"] == report["messages"] == report["windows"] == {"found": 1, "left": 0}
    topics = Topics(settings.kafka.topic_prefix)
    counted = {topic["topic"]: topic["records"] for topic in report["topics"]}
    assert counted == {topics.scores: 3, topics.explanations: 3, topics.summaries: 1, topics.chunks(Modality.TEXT): 3}
    assert all(topic["until_ms"] is None or topic["until_ms"] > time.time() * 1000 for topic in report["topics"])
    # Looked at without the code that has erased it.
    left = await redis.keys(f"*{ERASED}*")
    assert left == [f"{PREFIX}:{{{ERASED}}}:state"]
    assert set(await redis.hgetall(left[0])) == {"erased", "token"}
    assert str(ERASED) not in await redis.zrange(f"{PREFIX}:sessions", 0, -1)
    assert not [case for case in await redis.hkeys(f"{PREFIX}:{{default}}:queue-alerts") if str(case).startswith(f"{ERASED}/")]
    assert await redis.hkeys(f"{PREFIX}:{{webhooks}}:positions") == [str(KEPT)]
    assert await redis.hkeys(f"{PREFIX}:{{webhooks}}:desk:messages") == [f"message-{KEPT}"]
    assert b"defaultcall-1" not in Path(str(settings.explanations.store)).read_bytes()
    assert {key: await redis.type(key) for key in await redis.keys(f"{PREFIX}:{{{KEPT}}}:*")} == before
    again = await Forgetting(settings, connection).forget(ERASED, count_topics=False)
    assert (again.keys.found, again.cases.found, again.complete) == (0, 0, True)


async def test_an_emptied_redis_is_not_refilled_with_what_was_erased(
    settings: Settings, producer: KafkaProducer, redis: Redis, connection: RedisConnection
) -> None:
    for session in (ERASED, KEPT):
        await fill(settings, producer, session)
    await Forgetting(settings, connection).forget(ERASED, count_topics=False)
    await redis.flushall()
    sink = RedisSink(settings.redis)
    report = await refill(await read_history(settings.kafka, 100), sink)
    assert (report.sessions, report.erased) == (1, 1)
    assert len(await sink.finals(KEPT)) == 3
    assert not await sink.finals(ERASED)
    assert (await sink.epochs(ERASED)).erased
    await sink.close()


async def test_a_running_session_is_refused(settings: Settings, producer: KafkaProducer, connection: RedisConnection) -> None:
    await fill(settings, producer, ERASED, ended=False)
    with pytest.raises(RunningSessionError, match="end it first"):
        await Forgetting(settings, connection).forget(ERASED)
    sink = RedisSink(settings.redis)
    assert len(await sink.finals(ERASED)) == 3
    await sink.close()


async def test_a_session_of_which_nothing_is_known_is_noted_as_erased(settings: Settings, connection: RedisConnection) -> None:
    report: ForgetReport = await Forgetting(settings, connection).forget(SessionKey("acme", "never"))
    assert (report.keys.found, report.complete, report.topics) == (0, True, ())


async def test_a_running_session_is_ended_erased_and_not_taken_up_again(
    settings: Settings, producer: KafkaProducer, connection: RedisConnection, tmp_path: Path
) -> None:
    sink, factory, prefix = RedisSink(settings.redis), FakeWorker(), settings.kafka.topic_prefix
    (session,) = unique_sessions(1)
    key = SessionKey("acme", session)
    async with worker(settings, tmp_path, "one"):
        send(producer, prefix, factory.event(START, session), *(factory.words(seq, session=session) for seq in range(SECONDS)))
        await finals(sink, [session], count=4)
        report = await Forgetting(settings, connection).forget(key, end=True, count_topics=False)
        assert report.complete
        assert report.keys.found
        late = [factory.words(seq, session=session) for seq in range(SECONDS, SECONDS + 6)]
        send(producer, prefix, *late, factory.event(END, session))
        text = Topics(prefix).chunks(Modality.TEXT)
        await until(lambda: committed(settings, text) == SECONDS + 6, 20)
    assert not await sink.finals(key)
    assert not await connection.once(lambda redis: redis.keys(f"{PREFIX}:{{{key}}}:*scores"))
    assert "session_erased" in (tmp_path / "one.log").read_text()
    await sink.close()


async def test_the_gateway_erases_for_an_admin(settings: Settings, producer: KafkaProducer, redis: Redis) -> None:
    for session in (ERASED, KEPT):
        await fill(settings, producer, session)
    async with running_gateway(settings) as address, httpx.AsyncClient(base_url=f"{address}/api/v1") as client:
        assert (await client.get(f"/sessions/{ERASED}")).status_code == 200
        answer = await client.delete(f"/sessions/{ERASED}", headers={"Origin": address})
        assert answer.status_code == 200, answer.text
        report = answer.json()
        assert (report["keys"]["left"], report["cases"], report["topics"]) == (0, {"found": 1, "left": 0}, None)
        assert (await client.get(f"/sessions/{ERASED}")).status_code == 404
        assert (await client.get(f"/sessions/{KEPT}")).status_code == 200
        again = await client.delete(f"/sessions/{ERASED}", headers={"Origin": address})
        assert again.json()["keys"] == {"found": 0, "left": 0}
    assert await redis.keys(f"*{ERASED}*") == [f"{PREFIX}:{{{ERASED}}}:state"]
