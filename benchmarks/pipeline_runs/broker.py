"""What the broker says of a running system."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

import msgspec
from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

PATIENCE_S = 90.0
POLL_S = 0.2
BATCH = 1000


@dataclass(frozen=True, slots=True)
class Final:
    """A window that became final.

    Attributes:
        session: Its session.
        end_ms: Its end in media time.
        at_ms: When it was sent to Kafka (Unix ms); Quix Streams says when its chunk was sent.
        media_end_at_ms: When its last media was captured (Unix ms), if known.
    """

    session: str
    end_ms: int
    at_ms: int
    media_end_at_ms: int | None


class _Score(msgspec.Struct):
    session: str
    end_ms: int
    media_end_at_ms: int | None


class TopicReader:
    """Counts and reads the records of topics.

    Args:
        bootstrap: The broker.
        topics: Names of topics that exist.
    """

    def __init__(self, bootstrap: str, *topics: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "benchmark", "enable.auto.commit": False})
        known = self._consumer.list_topics(timeout=30).topics
        self._partitions = [TopicPartition(topic, number, 0) for topic in topics for number in known[topic].partitions]

    def total(self) -> int:
        """Number of records that the topics hold now."""
        return sum(self._consumer.get_watermark_offsets(partition, timeout=30)[1] for partition in self._partitions)

    def finals(self) -> list[Final]:
        """The windows whose scores the topics hold now."""
        found: list[Final] = []
        total, deadline = self.total(), time.monotonic() + PATIENCE_S
        self._consumer.assign(self._partitions)
        while len(found) < total and time.monotonic() < deadline:
            for message in self._consumer.consume(BATCH, timeout=1.0):
                score = msgspec.json.decode(message.value() or b"", type=_Score)
                found.append(Final(score.session, score.end_ms, message.timestamp()[1], score.media_end_at_ms))
        return found

    def __enter__(self) -> Self:
        """Nothing to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._consumer.close()


def wait_for_group(bootstrap: str, group: str) -> None:
    """Wait until a consumer group has members with partitions. Raises ``TimeoutError``."""
    admin, deadline = AdminClient({"bootstrap.servers": bootstrap}), time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            found = admin.describe_consumer_groups([group])[group].result(timeout=10)
            if found.state is ConsumerGroupState.STABLE and found.members:
                return
        except KafkaException:
            pass  # The coordinator is not known yet.
        time.sleep(POLL_S)
    raise TimeoutError(f"the consumer group {group} has no members")
