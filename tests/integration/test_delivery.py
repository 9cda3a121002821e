"""Real Faust, broker and Redis: workers come, go and die, and every window becomes final once with the right contents."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from pydantic import SecretStr

from stream.agents.app import WorkerApp, WorkerCrashedError
from stream.config.settings import Settings
from stream.domain.delivery import InboundRecord, LastFinal
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.lifecycle import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.domain.modality import Modality
from stream.domain.topics import Topics
from stream.local.environment import child_environment
from stream.sinks.redis_sink import RedisSink
from tests.fakes.chunks import ZERO_MS
from tests.fakes.world import FakeStore, FakeWorker

SECONDS = 12
START = SessionStart(0, (TrackPlan("customer", "customer", (Modality.TEXT,)),))
END = SessionEnd(0, SECONDS * 1000, (TrackEnd("customer", {Modality.TEXT: SECONDS}),))
EXPECTED = [*((end, 4.0) for end in range(4000, SECONDS * 1000 + 1, 2000)), (SECONDS * 1000 + 2000, 2.0)]
"""End and number of words of every window, in the order in which they must become final."""


@pytest.fixture
def settings(kafka_bootstrap: str, redis_url: str) -> Settings:
    own = f"delivery-{uuid.uuid4().hex[:8]}"
    plain = Settings()
    kafka = {"bootstrap": kafka_bootstrap, "topic_prefix": f"{own}.", "group": own, "session_timeout_s": 6.0, "fetch_max_wait_ms": 20}
    return plain.model_copy(
        update={
            "kafka": plain.kafka.model_copy(update=kafka),
            "redis": plain.redis.model_copy(update={"url": SecretStr(redis_url)}),
        }
    )


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[RedisSink]:
    sink = RedisSink(settings.redis)
    yield sink
    await sink.close()


@pytest.fixture
def producer(settings: Settings) -> Iterator[KafkaProducer]:
    topics = Topics(settings.kafka.topic_prefix)
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap)
    admin.create_topics([NewTopic(name, 6, 1) for name in (*topics.inputs, *topics.outputs)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap)
    yield producer
    producer.close()


@asynccontextmanager
async def worker(settings: Settings, directory: Path, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    ready = directory / f"{name}.ready"
    log = (directory / f"{name}.log").open("wb")
    environment = child_environment(settings)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.delivery_worker", str(ready), env=environment, stderr=log, stdout=log
    )
    try:
        await until(lambda: ready.exists() or process.returncode is not None, 30)
        assert process.returncode is None, (directory / f"{name}.log").read_text()[-2000:]
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 15)
            except TimeoutError:
                process.kill()
                await process.wait()


async def until(condition: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.1)


def send(producer: KafkaProducer, prefix: str, *records: InboundRecord) -> None:
    for record in records:
        producer.send(prefix + record.topic, key=record.key, value=record.value, headers=record.headers)
    producer.flush()


async def finals(
    store: RedisSink, sessions: list[str], seconds: float = 60, *, count: int = len(EXPECTED)
) -> list[list[tuple[int, float]]]:
    """The windows of each session, once there are as many as expected (or the time is up)."""
    until = time.monotonic() + seconds
    while True:
        found = [await store.finals(SessionKey("acme", session)) for session in sessions]
        if all(len(windows) >= count for windows in found) or time.monotonic() > until:
            return [[(window.end_ms, window.score) for window in windows] for windows in found]
        await asyncio.sleep(0.2)


def names(count: int) -> list[str]:
    run = uuid.uuid4().hex[:8]
    return [f"{run}-{number}" for number in range(count)]


async def test_one_worker_finalises_every_window(settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path) -> None:
    sessions, made = names(4), FakeWorker()
    async with worker(settings, tmp_path, "one"):
        for session in sessions:
            chunks = [made.words(seq, session=session) for seq in range(SECONDS)]
            send(producer, settings.kafka.topic_prefix, made.event(START, session), *chunks, made.event(END, session))
        assert await finals(store, sessions) == [EXPECTED] * len(sessions)


async def test_killing_a_worker_loses_and_repeats_nothing(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    sessions, made, prefix = names(8), FakeWorker(), settings.kafka.topic_prefix
    async with worker(settings, tmp_path, "first") as first, worker(settings, tmp_path, "second"):
        for session in sessions:
            send(producer, prefix, made.event(START, session))
        for seq in range(SECONDS):
            send(producer, prefix, *(made.words(seq, session=session) for session in sessions))
            await asyncio.sleep(0.2)
            if seq == SECONDS // 2:
                first.send_signal(signal.SIGKILL)
        for session in sessions:
            send(producer, prefix, made.event(END, session))
        assert await finals(store, sessions) == [EXPECTED] * len(sessions)


async def test_a_media_clock_begins_anew_while_its_worker_is_killed(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    sessions, made, prefix = names(8), FakeWorker(), settings.kafka.topic_prefix
    long, short, later_ms = 16, 9, 40_000
    spans = [(epoch, end) for epoch, seconds in ((0, long), (1, short)) for end in range(4, seconds + 4, 2) if end - 4 < seconds]
    expected = [(epoch, end * 1000, float(min(end, (long, short)[epoch]) - end + 4)) for epoch, end in spans]
    last = SessionEnd(0, short * 1000, (TrackEnd("customer", {Modality.TEXT: short}),))
    async with worker(settings, tmp_path, "first") as first, worker(settings, tmp_path, "second"):
        for session in sessions:
            send(producer, prefix, made.event(START, session), *(made.words(seq, session=session) for seq in range(long)))
        for session in sessions:
            send(producer, prefix, made.event(START, session, at_ms=ZERO_MS + later_ms))
        for seq in range(short):
            send(producer, prefix, *(made.words(seq, session=session, later_ms=later_ms) for session in sessions))
            await asyncio.sleep(0.2)
            if seq == 2:
                first.send_signal(signal.SIGKILL)
        for session in sessions:
            send(producer, prefix, made.event(last, session, at_ms=ZERO_MS + later_ms + short * 1000))
        await finals(store, sessions, count=len(expected))
    found = [[(w.epoch, w.end_ms, w.score) for w in await store.finals(SessionKey("acme", session))] for session in sessions]
    assert found == [expected] * len(sessions)


async def test_bad_records_are_put_aside_with_their_reason(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    (session,), made, prefix = names(1), FakeWorker(), settings.kafka.topic_prefix
    good = made.words(0, session=session)
    async with worker(settings, tmp_path, "one"):
        producer.send(prefix + good.topic, key=good.key, value=b"", headers=good.headers)
        producer.send(prefix + good.topic, key=good.key, value=None, headers=good.headers)
        producer.send(prefix + good.topic, key=None, value=good.value, headers=good.headers)
        producer.send(prefix + good.topic, key=b"acme/other", value=good.value, headers=good.headers)
        producer.send(prefix + good.topic, key=good.key, value=good.value, headers=[])
        producer.send(prefix + good.topic, key=good.key, value=b"\xff" * 900_001, headers=good.headers)
        chunks = [made.words(seq, session=session) for seq in range(1, SECONDS)]
        send(producer, prefix, made.event(START, session), good, *chunks, made.event(END, session))
        assert await finals(store, [session]) == [EXPECTED]
    consumer = KafkaConsumer(
        prefix + "chunks.dead-letter", bootstrap_servers=settings.kafka.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=3000
    )
    reasons = sorted(dict(message.headers)["dl_reason"].decode() for message in consumer)
    consumer.close()
    assert reasons == ["empty", "empty", "key_mismatch", "key_mismatch", "missing_header", "too_large"]
    assert "secretword" not in (tmp_path / "one.log").read_text()


async def test_an_error_that_no_rule_covers_stops_the_worker_and_loses_nothing(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    class BrokenStore(FakeStore):
        async def last_final(self, track: TrackKey) -> LastFinal | None:
            raise RuntimeError("a bug")

    (session,), made = names(1), FakeWorker()
    app = WorkerApp(
        settings, tmp_path, store=BrokenStore(), scorer=made.scorer, new_encoder=made.new_encoder, on_ready=lambda _partitions: None
    )
    chunks = [made.words(seq, session=session) for seq in range(SECONDS)]
    send(producer, settings.kafka.topic_prefix, made.event(START, session), *chunks, made.event(END, session))
    with pytest.raises(WorkerCrashedError, match="RuntimeError"):
        await asyncio.wait_for(app.run(asyncio.Event()), 60)
    async with worker(settings, tmp_path, "next"):
        assert await finals(store, [session]) == [EXPECTED]
