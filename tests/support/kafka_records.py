"""Reads all records of a topic."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from stream.config.settings import KafkaSettings
from stream.kafka_admin.connection import kafka_options

QUIET_MS = 300
"""The embedded broker reports end offsets that are up to a batch too low. So a topic is read until no record comes for this long."""


def read_topic(kafka: KafkaSettings, topic: str) -> list[Any]:
    """All records of a topic, partition by partition, each in order."""
    with closing(KafkaConsumer(**kafka_options(kafka), enable_auto_commit=False)) as consumer:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        records: list[Any] = []
        while (polled := consumer.poll(timeout_ms=QUIET_MS)) or len(records) < sum(consumer.end_offsets(partitions).values()):
            records += [record for batch in polled.values() for record in batch]
    return sorted(records, key=lambda record: (record.partition, record.offset))
