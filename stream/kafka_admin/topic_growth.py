"""Counts the records that are added to topics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from kafka import KafkaConsumer, TopicPartition

from stream.config.service_settings import KafkaSettings
from stream.kafka_admin.connection import broker_errors, consumer_options

QUIET_MS = 400
"""A topic counts as read to its end when nothing arrives for this long: many times what a local broker needs for a fetch."""


class TopicGrowth:
    """Counts the records that are added to topics after this object was made. Blocking; raises `BrokerError`.

    It reads the new records instead of subtracting end offsets: the embedded broker reports end offsets up to a batch too low.

    Args:
        kafka: The broker.
        topics: Names of topics that exist.
    """

    def __init__(self, kafka: KafkaSettings, topics: Sequence[str]) -> None:
        self._kafka = kafka
        self._topics = tuple(topics)
        with self._consumer() as consumer:
            partitions = [
                TopicPartition(topic, index) for topic in self._topics for index in sorted(consumer.partitions_for_topic(topic) or ())
            ]
            self._start_offsets: dict[TopicPartition, int] = consumer.end_offsets(partitions) if partitions else {}

    def added(self) -> dict[str, int]:
        """Number of records added to each topic so far."""
        added = dict.fromkeys(self._topics, 0)
        with self._consumer() as consumer:
            consumer.assign(list(self._start_offsets))
            for partition, offset in self._start_offsets.items():
                consumer.seek(partition, offset)
            while self._start_offsets and (batches := consumer.poll(timeout_ms=QUIET_MS)):
                for partition, records in batches.items():
                    added[partition.topic] += len(records)
        return added

    @contextmanager
    def _consumer(self) -> Iterator[KafkaConsumer]:
        with broker_errors(self._kafka), closing(KafkaConsumer(**consumer_options(self._kafka))) as consumer:
            yield consumer
