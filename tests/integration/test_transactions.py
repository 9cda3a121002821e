"""Producers that write in transactions, on Apache Kafka: aborted records do not count, and nothing waits for markers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Producer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from stream.config.settings import Settings
from stream.domain.delivery import InboundRecord
from stream.domain.features import Word
from stream.domain.identity import SessionKey
from stream.domain.kafka_records import chunk_headers, encode_words
from stream.domain.modality import Modality
from stream.domain.partition import partition_of
from stream.domain.topics import Topics
from stream.kafka_admin.connection import consumer_options
from stream.sinks.redis_sink import RedisSink
from tests.fakes.chunks import header
from tests.fakes.processing_context import FakeWorker
from tests.support.delivery import END, EXPECTED, SECONDS, START, finals, send, unique_sessions, until, worker
from tests.support.kafka_records import read_topic
from tests.support.settings import own_settings


@pytest.fixture
def settings(apache_bootstrap: str, redis_url: str) -> Settings:
    return own_settings("transactions", apache_bootstrap, redis_url, session_timeout_s=6.0, fetch_max_wait_ms=20, partitions=2)


class TransactionalProducer:
    """librdkafka's, with the partitioner of the Java client."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._prefix = settings.kafka.topic_prefix
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka.bootstrap,
                "transactional.id": f"{self._prefix}{name}",
                "partitioner": "murmur2_random",
                "transaction.timeout.ms": 60_000,
            }
        )
        self._producer.init_transactions(20)

    def begin(self, records: Iterable[InboundRecord]) -> None:
        self._producer.begin_transaction()
        for record in records:
            self._producer.produce(self._prefix + record.topic, value=record.value, key=record.key, headers=record.headers)
        assert self._producer.flush(20) == 0

    def commit(self) -> None:
        self._producer.commit_transaction(20)

    def abort(self) -> None:
        self._producer.abort_transaction(20)


def several_words(factory: FakeWorker, seq: int, session: str) -> InboundRecord:
    """Chunk ``seq`` with three words in place of one: it would win over the right chunk, and change the score."""
    of_chunk = header(seq, session=session)
    words = [Word("abortedword", of_chunk.start_ms, of_chunk.end_ms)] * 3
    return factory.record(
        factory.topics.chunks(Modality.TEXT), str(of_chunk.session).encode(), encode_words(words), chunk_headers(of_chunk)
    )


def sessions_in_every_partition(settings: Settings) -> list[str]:
    """One session for each partition. A partition without a record that can be read has nothing to commit, and keeps its lag."""
    by_partition = {partition_of(f"acme/{name}".encode(), settings.kafka.partitions): name for name in unique_sessions(64)}
    assert len(by_partition) == settings.kafka.partitions
    return list(by_partition.values())


def lag(settings: Settings, topic: str) -> int:
    """Offsets between what the group has committed and the ends of a topic, as monitoring tools count them."""
    with closing(KafkaConsumer(**consumer_options(settings.kafka), group_id=settings.kafka.group)) as consumer:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        ends = consumer.end_offsets(partitions)
        return sum(ends[partition] - (consumer.committed(partition) or 0) for partition in partitions)


async def test_aborted_records_are_not_scored_and_the_retried_ones_win(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    """Every chunk is sent first in a transaction that is aborted, then in one that is committed; a worker is killed in the middle."""
    sessions, factory, text = unique_sessions(4), FakeWorker(), Topics(settings.kafka.topic_prefix).chunks(Modality.TEXT)
    transactional = TransactionalProducer(settings, "retrying")
    async with worker(settings, tmp_path, "first") as first, worker(settings, tmp_path, "second"):
        transactional.begin(factory.event(START, session) for session in sessions)
        transactional.commit()
        for seq in range(SECONDS):
            transactional.begin(several_words(factory, seq, session) for session in sessions)
            transactional.abort()
            transactional.begin(factory.words(seq, session=session) for session in sessions)
            transactional.commit()
            if seq == SECONDS // 2:
                await asyncio.sleep(1.0)
                first.send_signal(signal.SIGKILL)
        transactional.begin(factory.event(END, session) for session in sessions)
        transactional.commit()
        assert await finals(store, sessions) == [EXPECTED] * len(sessions)
        for topic in (text, Topics(settings.kafka.topic_prefix).sessions):
            await until(lambda topic=topic: lag(settings, topic) == 0, 20)  # type: ignore[misc]
    assert read_topic(settings.kafka, Topics(settings.kafka.topic_prefix).dead_letters) == []
    assert len(read_topic(settings.kafka, text)) == SECONDS * len(sessions)
    ids = [dict(record.headers)["ce_id"] for record in read_topic(settings.kafka, Topics(settings.kafka.topic_prefix).scores)]
    assert sorted(set(ids)) == sorted(
        f"{SessionKey('acme', session)}/customer/0-{end}".encode() for session in sessions for end, _ in EXPECTED
    )


async def test_a_transaction_that_stays_open_is_not_silence(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    """Chunks of other producers behind it cannot be read until it ends. Their windows wait for them, although all is quiet."""
    sessions, factory = sessions_in_every_partition(settings), FakeWorker()
    prefix = settings.kafka.topic_prefix
    hanging = [TransactionalProducer(settings, f"hanging-{number}") for number in range(2)]
    others = unique_sessions(16)  # so that both partitions have an open transaction
    async with worker(settings, tmp_path, "first"):
        for session in sessions:
            send(producer, prefix, factory.event(START, session), *(factory.words(seq, session=session) for seq in range(5)))
        assert await finals(store, sessions, count=1) == [EXPECTED[:1]] * len(sessions)
        hanging[0].begin(several_words(factory, 0, session) for session in others)
        for session in sessions:
            send(producer, prefix, *(factory.words(seq, session=session) for seq in range(5, SECONDS)))
        await asyncio.sleep(6.0)  # the silence that would close every window, several times over
        assert await finals(store, sessions, 0, count=0) == [EXPECTED[:1]] * len(sessions)
        hanging[0].abort()
        for session in sessions:
            send(producer, prefix, factory.event(END, session))
        assert await finals(store, sessions) == [EXPECTED] * len(sessions)
        await until(lambda: lag(settings, Topics(prefix).chunks(Modality.TEXT)) == 0, 20)


async def test_silence_behind_the_marker_of_a_transaction_closes_windows(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    """The end of the partition is a marker, which is no record: a worker that waited for it would never count as caught up."""
    sessions, factory = unique_sessions(3), FakeWorker()
    transactional = TransactionalProducer(settings, "silent")
    async with worker(settings, tmp_path, "first"):
        transactional.begin(
            record
            for session in sessions
            for record in (factory.event(START, session), *(factory.words(seq, session=session) for seq in range(5)))
        )
        transactional.commit()
        transactional.begin(several_words(factory, 5, session) for session in sessions)
        transactional.abort()
        silent = [(4000, 4.0), (6000, 3.0), (8000, 1.0)]
        assert await finals(store, sessions, 30, count=len(silent)) == [silent] * 3
