"""What the broker says of a running system."""

from __future__ import annotations

import time
from typing import Self

from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

PATIENCE_S = 90.0
POLL_S = 0.2


class RecordCounter:
    """Counts the records of topics.

    Args:
        bootstrap: The broker.
        topics: Names of topics that exist.
    """

    def __init__(self, bootstrap: str, *topics: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "benchmark"})
        known = self._consumer.list_topics(timeout=10).topics
        self._partitions = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]

    def total(self) -> int:
        """Number of records that the topics hold now."""
        return sum(self._consumer.get_watermark_offsets(partition, timeout=10)[1] for partition in self._partitions)

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
