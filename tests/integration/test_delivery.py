"""Real Faust, broker and Redis: workers start, stop and die, and every window becomes final once with the right contents."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from kafka import KafkaProducer

from stream.agents.app import COMMIT_EVERY_S, WorkerApp, WorkerCrashedError
from stream.config.settings import Settings
from stream.domain.delivery import InboundRecord, LastFinal
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.modality import Modality
from stream.domain.result import ExplanationRecord, decode_record
from stream.domain.session_events import SessionEnd, TrackEnd
from stream.domain.topics import Topics
from stream.kafka_admin.connection import kafka_options
from stream.kafka_admin.topics import ensure_topics
from stream.sinks.redis_sink import RedisSink
from tests.fakes.chunks import MEDIA_START_AT_MS
from tests.fakes.processing_context import FakeStore, FakeWorker
from tests.support import dialogues
from tests.support.delivery import END, EXPECTED, SECONDS, START, committed, finals, send, unique_sessions, until, worker
from tests.support.kafka_records import read_topic
from tests.support.settings import own_settings


@pytest.fixture
def settings(kafka_bootstrap: str, redis_url: str) -> Settings:
    return own_settings("delivery", kafka_bootstrap, redis_url, session_timeout_s=6.0, fetch_max_wait_ms=20)


async def test_one_worker_finalises_every_window(settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path) -> None:
    sessions, factory = unique_sessions(4), FakeWorker()
    async with worker(settings, tmp_path, "one"):
        for session in sessions:
            chunks = [factory.words(seq, session=session) for seq in range(SECONDS)]
            send(producer, settings.kafka.topic_prefix, factory.event(START, session), *chunks, factory.event(END, session))
        assert await finals(store, sessions) == [EXPECTED] * len(sessions)


async def test_killing_a_worker_loses_and_repeats_nothing(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    sessions, factory, prefix = unique_sessions(8), FakeWorker(), settings.kafka.topic_prefix
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
        assert await finals(store, sessions) == [EXPECTED] * len(sessions)


@pytest.mark.parametrize("done_before", [0, 1], ids=["nothing_committed_before", "something_committed_before"])
async def test_an_unacknowledged_chunk_is_read_again_even_if_later_chunks_were_acknowledged(
    settings: Settings, store: RedisSink, tmp_path: Path, done_before: int
) -> None:
    """Faust would commit past it (faust-streaming/faust#606): see `stream.agents.faust_patches.commits`."""
    kafka = settings.kafka.model_copy(update={"topic_prefix": f"{settings.kafka.topic_prefix}one.", "partitions": 1})
    settings = settings.model_copy(update={"kafka": kafka})
    waiting, last, *before = unique_sessions(2 + done_before)
    factory, prefix, text = FakeWorker(), kafka.topic_prefix, Topics(kafka.topic_prefix).chunks(Modality.TEXT)

    def whole(session: str) -> list[InboundRecord]:
        return [
            factory.event(START, session),
            *(factory.words(seq, session=session) for seq in range(SECONDS)),
            factory.event(END, session),
        ]

    ensure_topics(kafka)
    with KafkaProducer(**kafka_options(kafka)) as producer:
        async with worker(settings, tmp_path, "first") as first:
            for session in before:
                send(producer, prefix, *whole(session))
                assert await finals(store, [session]) == [EXPECTED]
                await until(lambda: committed(settings, text) == SECONDS, 10)
            send(producer, prefix, factory.event(START, waiting), factory.words(0, session=waiting), *whole(last))
            assert await finals(store, [last]) == [EXPECTED]
            await asyncio.sleep(2 * COMMIT_EVERY_S)
            first.send_signal(signal.SIGKILL)
        assert committed(settings, text) == SECONDS * len(before)
        async with worker(settings, tmp_path, "second"):
            send(producer, prefix, *(factory.words(seq, session=waiting) for seq in range(1, SECONDS)), factory.event(END, waiting))
            assert await finals(store, [waiting]) == [EXPECTED]
            await until(lambda: committed(settings, text) == SECONDS * (2 + len(before)), 10)


async def test_a_media_clock_starts_again_while_its_worker_is_killed(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    sessions, factory, prefix = unique_sessions(8), FakeWorker(), settings.kafka.topic_prefix
    long, short, later_ms = 16, 9, 40_000
    spans = [(epoch, end) for epoch, seconds in ((0, long), (1, short)) for end in range(4, seconds + 4, 2) if end - 4 < seconds]
    expected = [(epoch, end * 1000, float(min(end, (long, short)[epoch]) - end + 4)) for epoch, end in spans]
    last = SessionEnd(0, short * 1000, (TrackEnd("customer", {Modality.TEXT: short}),))
    async with worker(settings, tmp_path, "first") as first, worker(settings, tmp_path, "second"):
        for session in sessions:
            send(producer, prefix, factory.event(START, session), *(factory.words(seq, session=session) for seq in range(long)))
        for session in sessions:
            send(producer, prefix, factory.event(START, session, at_ms=MEDIA_START_AT_MS + later_ms))
        for seq in range(short):
            send(producer, prefix, *(factory.words(seq, session=session, later_ms=later_ms) for session in sessions))
            await asyncio.sleep(0.2)
            if seq == 2:
                first.send_signal(signal.SIGKILL)
        for session in sessions:
            send(producer, prefix, factory.event(last, session, at_ms=MEDIA_START_AT_MS + later_ms + short * 1000))
        await finals(store, sessions, count=len(expected))
    found = [[(w.epoch, w.end_ms, w.score) for w in await store.finals(SessionKey("acme", session))] for session in sessions]
    assert found == [expected] * len(sessions)


async def test_a_worker_that_takes_over_gives_windows_the_same_context(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    sessions, factory, prefix = unique_sessions(6), FakeWorker(), settings.kafka.topic_prefix
    async with worker(settings, tmp_path, "first") as first, worker(settings, tmp_path, "second"):
        for session in sessions:
            send(producer, prefix, factory.event(dialogues.START, session))
        for seq in range(dialogues.SECONDS):
            send(producer, prefix, *(record for session in sessions for record in dialogues.second(factory, seq, session)))
            await asyncio.sleep(0.2)
            if seq == dialogues.SECONDS // 2:
                first.send_signal(signal.SIGKILL)
        for session in sessions:
            send(producer, prefix, factory.event(dialogues.END, session))
        await finals(store, sessions, count=len(dialogues.expected()))
    records = read_topic(settings.kafka, Topics(prefix).explanations)
    explained = [e for r in records if isinstance(e := decode_record(r.value), ExplanationRecord)]
    contexts = {(e.session, e.track, e.end_ms, " ".join(e.counterfactual or ())) for e in explained}
    assert contexts == {(session, *window, context) for session in sessions for window, context in dialogues.expected().items()}


async def test_bad_records_go_to_the_dead_letters_with_their_reason(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    (session,), factory, prefix = unique_sessions(1), FakeWorker(), settings.kafka.topic_prefix
    good = factory.words(0, session=session)
    async with worker(settings, tmp_path, "one"):
        producer.send(prefix + good.topic, key=good.key, value=b"", headers=good.headers)
        producer.send(prefix + good.topic, key=good.key, value=None, headers=good.headers)
        producer.send(prefix + good.topic, key=None, value=good.value, headers=good.headers)
        producer.send(prefix + good.topic, key=b"acme/other", value=good.value, headers=good.headers)
        producer.send(prefix + good.topic, key=good.key, value=good.value, headers=[])
        producer.send(prefix + good.topic, key=good.key, value=b"\xff" * 900_001, headers=good.headers)
        chunks = [factory.words(seq, session=session) for seq in range(1, SECONDS)]
        send(producer, prefix, factory.event(START, session), good, *chunks, factory.event(END, session))
        assert await finals(store, [session]) == [EXPECTED]
    letters = read_topic(settings.kafka, Topics(prefix).dead_letters)
    reasons = sorted(dict(letter.headers)["dl_reason"].decode() for letter in letters)
    assert reasons == ["empty", "empty", "key_mismatch", "key_mismatch", "missing_header", "too_large"]
    assert "secretword" not in (tmp_path / "one.log").read_text()


async def test_an_unexpected_error_stops_the_worker_and_loses_nothing(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    class BrokenStore(FakeStore):
        async def last_final(self, track: TrackKey) -> LastFinal | None:
            raise RuntimeError("a bug")

    (session,), factory = unique_sessions(1), FakeWorker()
    app = WorkerApp(
        settings, tmp_path, store=BrokenStore(), scorer=factory.scorer, new_encoder=factory.new_encoder, on_ready=lambda _partitions: None
    )
    chunks = [factory.words(seq, session=session) for seq in range(SECONDS)]
    send(producer, settings.kafka.topic_prefix, factory.event(START, session), *chunks, factory.event(END, session))
    with pytest.raises(WorkerCrashedError, match="RuntimeError"):
        await asyncio.wait_for(app.run(asyncio.Event()), 60)
    async with worker(settings, tmp_path, "next"):
        assert await finals(store, [session]) == [EXPECTED]
