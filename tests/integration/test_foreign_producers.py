"""Producers that are not ours, on Apache Kafka: other partitioners, topics that grow, and records that no producer of ours would send."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Producer
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from stream.config.settings import Settings
from stream.domain.delivery import InboundRecord
from stream.domain.identity import SessionKey
from stream.domain.partition import partition_of
from stream.domain.topics import Topics
from stream.kafka_admin.connection import kafka_options
from stream.sinks.redis_sink import RedisSink
from tests.fakes.processing_context import FakeWorker
from tests.support.delivery import END, EXPECTED, SECONDS, START, committed, finals, send, unique_sessions, until, worker
from tests.support.header_names import NotUtf8
from tests.support.kafka_records import read_topic
from tests.support.settings import own_settings

PARTITIONS = 6


@pytest.fixture
def settings(apache_bootstrap: str, redis_url: str) -> Settings:
    return own_settings("foreign", apache_bootstrap, redis_url, session_timeout_s=6.0, fetch_max_wait_ms=20, partitions=PARTITIONS)


def send_with_librdkafka(settings: Settings, records: list[InboundRecord], **options: str) -> None:
    """Write records as librdkafka's bindings do, by default with their own partitioner."""
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap, **options})
    for record in records:
        producer.produce(settings.kafka.topic_prefix + record.topic, value=record.value, key=record.key, headers=record.headers)
    assert producer.flush(20) == 0


def whole(factory: FakeWorker, session: str) -> list[InboundRecord]:
    return [
        factory.event(START, session),
        *(factory.words(seq, session=session) for seq in range(SECONDS)),
        factory.event(END, session),
    ]


def dead_letters(settings: Settings) -> list[tuple[str, str]]:
    """Reason and session of each dead letter."""
    records = [dict(record.headers) for record in read_topic(settings.kafka, Topics(settings.kafka.topic_prefix).dead_letters)]
    return [(headers["dl_reason"].decode(), headers["ce_subject"].decode()) for headers in records]


async def test_another_partitioner_harms_neither_workers_nor_other_sessions(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    """One producer places chunks by CRC-32 (librdkafka's default), the other records of the same sessions come from producers set right."""
    split, whole_ones, set_right = unique_sessions(4), unique_sessions(4), unique_sessions(2)
    factory, prefix = FakeWorker(), settings.kafka.topic_prefix
    async with worker(settings, tmp_path, "first") as first, worker(settings, tmp_path, "second") as second:
        for session in split:
            send_with_librdkafka(settings, [factory.words(seq, session=session) for seq in range(SECONDS)])
            send(producer, prefix, factory.event(START, session), factory.event(END, session))
        for session in whole_ones:
            send(producer, prefix, *whole(factory, session))
        for session in set_right:
            send_with_librdkafka(settings, whole(factory, session), partitioner="murmur2_random")
        assert await finals(store, whole_ones + set_right) == [EXPECTED] * 6
        await until(lambda: committed(settings, prefix + "chunks.text") == 10 * SECONDS, 20)
        await asyncio.sleep(settings.kafka.session_timeout_s)  # a worker that were fenced off would now join again
        assert (first.returncode, second.returncode) == (None, None)
    assert "fenced_off" not in (tmp_path / "first.log").read_text() + (tmp_path / "second.log").read_text()
    misplaced = [
        session
        for record in read_topic(settings.kafka, prefix + "chunks.text")
        if partition_of(record.key, PARTITIONS) != record.partition
        for session in [record.key.decode().partition("/")[2]]
    ]
    assert len(set(misplaced)) >= 2, "CRC-32 and murmur2 choose the same of six partitions by chance only"
    assert sorted(dead_letters(settings)) == sorted(("wrong_partition", session) for session in misplaced)
    for session in set(split) - set(misplaced):
        assert await finals(store, [session]) == [EXPECTED]
    for session in set(misplaced):
        assert await finals(store, [session], 0, count=0) == [[]]


async def test_a_session_that_is_written_to_two_partitions_has_only_the_records_of_its_own(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    """A producer that sets the partition itself, for every other chunk."""
    [session], factory, prefix = unique_sessions(1), FakeWorker(), settings.kafka.topic_prefix
    own = partition_of(f"acme/{session}".encode(), PARTITIONS)
    async with worker(settings, tmp_path, "first"), worker(settings, tmp_path, "second"):
        send(producer, prefix, factory.event(START, session))
        for record in [factory.words(seq, session=session) for seq in range(SECONDS)]:
            partition = own if record.offset % 2 == 0 else (own + 1) % PARTITIONS
            producer.send(prefix + record.topic, key=record.key, value=record.value, headers=record.headers, partition=partition)
        send(producer, prefix, factory.event(END, session))
        found = await finals(store, [session])
        assert found == [[(end, words / 2) for end, words in EXPECTED]]
    assert dead_letters(settings) == [("wrong_partition", session)] * (SECONDS // 2)
    ids = [dict(record.headers)["ce_id"] for record in read_topic(settings.kafka, Topics(prefix).scores)]
    assert len(ids) == len(set(ids)) == len(EXPECTED)


async def test_topics_are_enlarged_one_after_the_other_while_workers_run(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    """Open sessions whose key stays go on; new sessions are placed by the new number; what was placed by the old one is reported."""
    patient = settings.windows.model_copy(update={"idle_after_ms": 60_000})  # no session counts as silent in the meantime
    settings = settings.model_copy(update={"windows": patient})
    prefix, factory = settings.kafka.topic_prefix, FakeWorker()
    grown = 2 * PARTITIONS
    names = unique_sessions(24)
    stays = [name for name in names if partition_of(f"acme/{name}".encode(), grown) < PARTITIONS][:3]
    moves = [name for name in names if partition_of(f"acme/{name}".encode(), grown) >= PARTITIONS][:3]
    async with worker(settings, tmp_path, "first") as first, worker(settings, tmp_path, "second") as second:
        for session in stays + moves:
            send(producer, prefix, factory.event(START, session), *(factory.words(seq, session=session) for seq in range(6)))
        assert await finals(store, stays + moves, count=1) == [EXPECTED[:1]] * 6
        with closing(KafkaAdminClient(**kafka_options(settings.kafka))) as admin:
            for topic in Topics(prefix).inputs:
                admin.create_partitions({topic: grown})
                await asyncio.sleep(1.0)
        fresh = unique_sessions(4)
        with KafkaProducer(**kafka_options(settings.kafka)) as later:
            for session in fresh:
                send(later, prefix, *whole(factory, session))
            for session in stays:
                send(later, prefix, *(factory.words(seq, session=session) for seq in range(6, SECONDS)), factory.event(END, session))
            assert await finals(store, fresh + stays) == [EXPECTED] * 7
            for session in moves:
                send(later, prefix, *(factory.words(seq, session=session) for seq in range(6, SECONDS)), factory.event(END, session))
            gone_on = [EXPECTED[0], (8000, 2.0), *[(end, words) for end, words in EXPECTED if end > 8000]]
            assert await finals(store, moves, count=len(gone_on)) == [gone_on] * 3, "chunks 4 and 5 were placed by the old number"
        await until(lambda: committed(settings, prefix + "chunks.text") == 10 * SECONDS, 30)
        assert (first.returncode, second.returncode) == (None, None)
    assert {(reason, session in moves) for reason, session in dead_letters(settings)} == {("wrong_partition", True)}
    keys = {str(SessionKey("acme", session)).encode() for session in moves}
    scores = read_topic(settings.kafka, Topics(prefix).scores)
    ids = [dict(record.headers)["ce_id"] for record in scores if record.key not in keys]
    assert len(ids) == len(set(ids))


async def test_a_worker_of_another_group_with_the_same_redis_makes_no_worker_give_up(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    """Both publish the same sessions. Whoever is fenced off joins its group again, and every window is final once."""
    kafka = settings.kafka.model_copy(update={"session_timeout_s": 2.0})
    settings = settings.model_copy(update={"kafka": kafka})
    other = settings.model_copy(update={"kafka": kafka.model_copy(update={"group": f"{kafka.group}-other"})})
    sessions, factory, prefix = unique_sessions(3), FakeWorker(), kafka.topic_prefix
    async with worker(settings, tmp_path, "first") as first, worker(other, tmp_path, "second") as second:
        send(producer, prefix, *(factory.event(START, session) for session in sessions))
        for seq in range(SECONDS):
            send(producer, prefix, *(factory.words(seq, session=session) for session in sessions))
            await asyncio.sleep(0.5)
        send(producer, prefix, *(factory.event(END, session) for session in sessions))
        assert await finals(store, sessions) == [EXPECTED] * len(sessions)
        await asyncio.sleep(2 * kafka.session_timeout_s)
        assert (first.returncode, second.returncode) == (None, None)
        assert "fenced_off" in (tmp_path / "first.log").read_text()
        later = unique_sessions(2)
        for session in later:
            send(producer, prefix, *whole(factory, session))
        assert await finals(store, later) == [EXPECTED] * len(later)


@pytest.mark.parametrize("compression", [None, "gzip"])
async def test_a_header_name_that_is_not_utf_8_ends_no_worker(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path, compression: str | None
) -> None:
    [session], factory, prefix = unique_sessions(1), FakeWorker(), settings.kafka.topic_prefix
    records = whole(factory, session)
    options = kafka_options(settings.kafka) | {"compression_type": compression, "linger_ms": 200}
    async with worker(settings, tmp_path, "first") as first:
        with KafkaProducer(**options) as odd:
            send(odd, prefix, *(replace(record, headers=[*record.headers, (NotUtf8("x"), b"1")]) for record in records))
        assert await finals(store, [session]) == [EXPECTED]
        assert first.returncode is None
    assert dead_letters(settings) == []
