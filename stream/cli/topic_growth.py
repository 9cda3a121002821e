"""How much topics grew between two moments."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from stream.config.settings import KafkaSettings
from stream.produce.connection import broker_errors, kafka_options


class TopicGrowth:
    """Compares the topics' end offsets with those at its creation. Blocking; raises `stream.produce.errors.ProduceError`.

    Args:
        kafka: The broker.
        topics: Names of topics that exist.
    """

    def __init__(self, kafka: KafkaSettings, topics: Sequence[str]) -> None:
        self._kafka = kafka
        self._topics = tuple(topics)
        self._before = self._ends()

    def since(self) -> dict[str, int]:
        """Records added to each topic since then."""
        now = self._ends()
        return {topic: now[topic] - self._before[topic] for topic in self._topics}

    def _ends(self) -> dict[str, int]:
        with broker_errors(self._kafka), closing(KafkaConsumer(**kafka_options(self._kafka), enable_auto_commit=False)) as consumer:
            return {topic: _end(consumer, topic) for topic in self._topics}


def _end(consumer: Any, topic: str) -> int:
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    return sum(consumer.end_offsets(partitions).values()) if partitions else 0
