"""Erased sessions in Kafka: a log cannot be erased by key, so an erasure is noted, and its records run out with their topics' retention."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from stream.config.service_settings import KafkaSettings
from stream.domain.identity import SessionKey
from stream.domain.kafka_records import session_record
from stream.domain.session_events import KeyedSessionEvent, SessionEvent
from stream.domain.topics import Topics
from stream.kafka_admin.access import asked, topic_configs
from stream.kafka_admin.connection import CONNECT_TIMEOUT_MS, broker_errors, consumer_options, kafka_options, require_broker
from stream.kafka_admin.topics import ensure_erasures

POLL_MS = 400
BEYOND_END_S = 2.0
"""A topic that is still being written to counts as read this long after its end was reached."""

SOURCE = "sentistream/operator"
ACK_TIMEOUT_S = 20.0


class Erasure(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="erasure"):
    """A session that was erased: a record of the topic ``erasures``.

    Attributes:
        at_ms: When it was erased (Unix ms). Nothing of the session from before that time may be restored.
    """

    tenant: str
    session: str
    at_ms: int

    @property
    def key(self) -> SessionKey:
        """The session."""
        return SessionKey(self.tenant, self.session)


class LeftInTopic(msgspec.Struct, frozen=True):
    """Records of a session that are left in a topic.

    Attributes:
        topic: The topic.
        records: Their number.
        until_ms: When the topic's retention has deleted the last of them (Unix ms); None if it does not delete by time.
    """

    topic: str
    records: int
    until_ms: int | None


def note_erasure(kafka: KafkaSettings, erasure: Erasure) -> None:
    """Write an erasure to its topic, which is created if need be. Raises `BrokerError` and `WrongBrokerError`."""
    ensure_erasures(kafka)
    _send(kafka, Topics(kafka.topic_prefix).erasures, str(erasure.key).encode("ascii"), msgspec.json.encode(erasure), [])


def send_event(kafka: KafkaSettings, session: SessionKey, event: SessionEvent) -> None:
    """Send an event of a session in its producer's place. Raises `BrokerError`."""
    now_ms = time.time_ns() // 1_000_000
    require_broker(kafka)
    _send(kafka, Topics(kafka.topic_prefix).sessions, *session_record(KeyedSessionEvent(session, event), SOURCE, now_ms))


def read_erasures(kafka: KafkaSettings) -> dict[SessionKey, Erasure]:
    """The sessions that were erased; none where the topic does not exist. Raises `BrokerError`."""
    found: dict[SessionKey, Erasure] = {}
    with _consumer(kafka) as consumer:
        for record in _records(consumer, _partitions(consumer, Topics(kafka.topic_prefix).erasures)):
            try:
                erasure = msgspec.json.decode(record.value or b"", type=Erasure)
                found[erasure.key] = erasure
            except (msgspec.DecodeError, UnicodeError, ValueError):
                continue
    return found


def left_in_topics(kafka: KafkaSettings, session: SessionKey) -> list[LeftInTopic]:
    """Read all topics, and count what is there of a session. Raises `BrokerError`."""
    topics = Topics(kafka.topic_prefix)
    names = (*topics.inputs, *topics.outputs, topics.feedback, topics.decisions)
    key, written = str(session).encode("ascii"), defaultdict[str, list[int]](list)
    with broker_errors(kafka), closing(KafkaAdminClient(**kafka_options(kafka))) as admin:
        existing = set(admin.list_topics())
        configs = asked(lambda: topic_configs(admin, [name for name in names if name in existing])) or {}
    with _consumer(kafka) as consumer:
        for record in _records(consumer, [partition for name in names for partition in _partitions(consumer, name)]):
            if _is_of(record, key):
                written[record.topic].append(record.timestamp)
    return [
        LeftInTopic(name, len(written[name]), _until_ms(max(written[name]), configs.get(name, {}).get("retention.ms", "")))
        for name in names
        if name in written
    ]


def _is_of(record: Any, key: bytes) -> bool:
    """Whether a record is of a session: of some topics the key is the id of a window or an alert, which begins with the session."""
    return bool(record.key == key or (record.key or b"").startswith(key + b"/"))


def _until_ms(newest_ms: int, retention: str) -> int | None:
    return newest_ms + int(retention) if retention.isdigit() else None


def _send(kafka: KafkaSettings, topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> None:
    with broker_errors(kafka), closing(KafkaProducer(**kafka_options(kafka), acks="all", max_block_ms=CONNECT_TIMEOUT_MS)) as producer:
        producer.send(topic, key=key, value=value, headers=headers).get(timeout=ACK_TIMEOUT_S)


@contextmanager
def _consumer(kafka: KafkaSettings) -> Iterator[Any]:
    with broker_errors(kafka), closing(KafkaConsumer(**consumer_options(kafka))) as consumer:
        yield consumer


def _partitions(consumer: Any, topic: str) -> list[Any]:
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]


def _records(consumer: Any, partitions: Sequence[Any]) -> Iterator[Any]:
    """All records of partitions, from their beginnings to their ends."""
    if not partitions:
        return
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    reached_end_at: float | None = None
    while True:
        polled = consumer.poll(timeout_ms=POLL_MS)
        for records in polled.values():
            yield from records
        if all(consumer.position(partition) >= end for partition, end in ends.items()):
            reached_end_at = reached_end_at or time.monotonic()
            if not polled or time.monotonic() - reached_end_at > BEYOND_END_S:
                return
