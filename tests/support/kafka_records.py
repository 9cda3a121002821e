"""Reads all records of a topic."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from stream.config.service_settings import KafkaSettings
from stream.kafka_admin.connection import consumer_options

QUIET_MS = 300
"""The embedded broker reports end offsets that are up to a batch too low. So a topic is read until no record comes for this long."""


def _is_behind(consumer: Any, partitions: list[Any]) -> bool:
    """Whether a partition has not been read to its end. Its end may be the marker of a transaction, which is no record."""
    return any(consumer.position(partition) < end for partition, end in consumer.end_offsets(partitions).items())


def read_topic(kafka: KafkaSettings, topic: str) -> list[Any]:
    """All records of a topic, partition by partition, each in order."""
    with closing(KafkaConsumer(**consumer_options(kafka))) as consumer:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        records: list[Any] = []
        while (polled := consumer.poll(timeout_ms=QUIET_MS)) or _is_behind(consumer, partitions):
            records += [record for batch in polled.values() for record in batch]
    return sorted(records, key=lambda record: (record.partition, record.offset))
