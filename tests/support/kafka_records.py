"""What stands in a topic."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from stream.config.settings import KafkaSettings
from stream.kafka_admin.connection import kafka_options

QUIET_MS = 300
"""The embedded broker reports end offsets up to a batch too low, so a topic is read until nothing more comes."""


def read_topic(kafka: KafkaSettings, topic: str) -> list[Any]:
    """Everything in a topic, partition by partition."""
    with closing(KafkaConsumer(**kafka_options(kafka), enable_auto_commit=False)) as consumer:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        found: list[Any] = []
        while (polled := consumer.poll(timeout_ms=QUIET_MS)) or len(found) < sum(consumer.end_offsets(partitions).values()):
            found += [record for records in polled.values() for record in records]
    return sorted(found, key=lambda record: (record.partition, record.offset))
