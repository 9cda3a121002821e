"""How much topics grew between two moments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from kafka import KafkaConsumer, TopicPartition

from stream.config.settings import KafkaSettings
from stream.kafka_admin.connection import broker_errors, kafka_options

QUIET_MS = 400
"""Nothing more within this time, and a topic has been read to its end."""


class TopicGrowth:
    """Counts what is added to topics from its creation on. Blocking; raises `stream.kafka_admin.errors.BrokerError`.

    It reads the new records: end offsets alone would do on Apache Kafka, but the embedded broker reports them up to a batch too low.

    Args:
        kafka: The broker.
        topics: Names of topics that exist.
    """

    def __init__(self, kafka: KafkaSettings, topics: Sequence[str]) -> None:
        self._kafka = kafka
        self._topics = tuple(topics)
        with self._consumer() as consumer:
            partitions = [
                TopicPartition(topic, number) for topic in self._topics for number in sorted(consumer.partitions_for_topic(topic) or ())
            ]
            self._before: dict[TopicPartition, int] = consumer.end_offsets(partitions) if partitions else {}

    def since(self) -> dict[str, int]:
        """Records added to each topic since then."""
        added = dict.fromkeys(self._topics, 0)
        with self._consumer() as consumer:
            consumer.assign(list(self._before))
            for partition, offset in self._before.items():
                consumer.seek(partition, offset)
            while self._before and (batches := consumer.poll(timeout_ms=QUIET_MS)):
                for partition, records in batches.items():
                    added[partition.topic] += len(records)
        return added

    @contextmanager
    def _consumer(self) -> Iterator[KafkaConsumer]:
        with broker_errors(self._kafka), closing(KafkaConsumer(**kafka_options(self._kafka), enable_auto_commit=False)) as consumer:
            yield consumer
