"""Reads the input topics for the check, as workers do: only committed records. Blocking."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import CorruptRecordError

from stream.config.service_settings import KafkaSettings
from stream.domain.topics import Topics
from stream.kafka_admin.access import asked, topic_configs
from stream.kafka_admin.connection import broker_errors, consumer_options, kafka_options, require_broker
from stream.kafka_admin.errors import BrokerError
from stream.produce.check.finding import Position
from stream.produce.check.record import LogFacts, SentRecord, TopicFacts

POLL_MS = 300
"""The embedded broker reports end offsets that are up to a batch too low. So a topic counts as read when none has come for this long."""

CONFIG_TIMEOUT_MS = 3000
"""The embedded broker does not answer every question about its settings."""

OnProgress = Callable[[int, int], None]
"""Receives the number of records that were read and the number of records to read."""


class LogReader:
    """Reads the input topics and the topics of refused records, once.

    Args:
        kafka: The broker.
        since_ms: Records before this time (Unix ms) are left out; 0 = read everything.
        timeout_s: Longest time that the reading may take.
        on_progress: Called while it reads.

    Raises:
        BrokerError: The broker is away, or has none of the topics.
    """

    def __init__(
        self, kafka: KafkaSettings, *, since_ms: int = 0, timeout_s: float = 60.0, on_progress: OnProgress = lambda _done, _all: None
    ) -> None:
        self._kafka = kafka
        self._since_ms = since_ms
        self._deadline = time.monotonic() + timeout_s
        self._on_progress = on_progress
        names = Topics(kafka.topic_prefix)
        self._refusals = (names.dead_letters, names.late)
        self._inputs = names.inputs
        require_broker(kafka)
        with broker_errors(kafka), self._consumer("read_committed") as consumer:
            self._partitions = {topic: sorted(consumer.partitions_for_topic(topic) or ()) for topic in (*names.inputs, *self._refusals)}
        missing = [topic for topic in names.inputs if not self._partitions[topic]]
        if missing:
            raise BrokerError(
                f"Kafka at {kafka.bootstrap} has no topic {', '.join(missing)}: check kafka.topic_prefix; "
                "`sentistream worker` and `sentistream produce` create the topics"
            )
        self.partitions = {topic: len(self._partitions[topic]) for topic in names.inputs}
        """Number of partitions of each input topic."""
        self._counts: Counter[str] = Counter(dict.fromkeys(names.inputs, 0))
        self._gaps: dict[Any, list[tuple[int, int]]] = defaultdict(list)
        self._covered_from_ms: int | None = None
        self._to_end = True
        self._total = self._unreadable = 0
        self._stable: dict[Any, int] = {}
        self._waiting: list[Any] = []

    def read(self) -> Iterator[SentRecord]:
        """All committed records, each partition in order. Records of refused topics come with the topic's name."""
        with broker_errors(self._kafka):
            written = self._end_offsets("read_uncommitted")
            with self._consumer("read_committed") as consumer:
                partitions = list(written)
                consumer.assign(partitions)
                next_offset = self._seek(consumer, partitions)
                for record in self._poll(consumer, "read_committed", consumer.end_offsets(partitions)):
                    at = TopicPartition(record.topic, record.partition)
                    if record.offset > next_offset[at]:
                        self._gaps[at].append((next_offset[at], record.offset))
                    next_offset[at] = record.offset + 1
                    self._counts[record.topic] += 1
                    yield _sent(record)
                stable = consumer.end_offsets(partitions)
            self._waiting = [at for at in partitions if stable[at] < written[at]] if self._to_end else []
            for at in partitions:
                if self._to_end and max(written[at], stable[at]) > next_offset[at]:
                    self._gaps[at].append((next_offset[at], max(written[at], stable[at])))
            self._stable = stable

    def read_hidden(self) -> Iterator[tuple[SentRecord, bool]]:
        """Records that workers do not see, and whether their transaction is still open; otherwise it was aborted.

        They lie in the gaps that `read` has found. Other gaps hold markers of transactions, or what compaction has deleted.
        """
        gaps = {at: spans for at, spans in self._gaps.items() if at.topic in self._inputs}
        if not gaps:
            return
        with broker_errors(self._kafka), self._consumer("read_uncommitted") as consumer:
            consumer.assign(list(gaps))
            for at, spans in gaps.items():
                consumer.seek(at, spans[0][0])
            unreadable = self._unreadable
            for record in self._poll(consumer, "read_uncommitted", {at: spans[-1][1] for at, spans in gaps.items()}):
                at = TopicPartition(record.topic, record.partition)
                if any(first <= record.offset < after for first, after in gaps[at]):
                    yield _sent(record), record.offset >= self._stable[at]
            self._unreadable = unreadable

    def facts(self, *, aborted: int, still_open: int, refused: Mapping[str, int]) -> LogFacts:
        """What was read, after `read` and `read_hidden`.

        Args:
            aborted: Records of the session in aborted transactions.
            still_open: Records of the session in open transactions.
            refused: Records of the session that workers have refused, by reason.
        """
        return LogFacts(
            topics=self._topic_facts(),
            read_ms=round(time.time() * 1000),
            records={topic: self._counts[topic] for topic in self._inputs},
            covered_from_ms=self._covered_from_ms,
            to_end=self._to_end,
            aborted=aborted,
            open=still_open,
            waiting_partitions=[f"partition {at.partition} of {at.topic}" for at in self._waiting if at.topic in self._inputs],
            refused=dict(refused),
            unreadable=self._unreadable,
        )

    def is_refusal(self, record: SentRecord) -> bool:
        """Whether a worker has put a record there because it could not use it."""
        return record.at.topic in self._refusals

    def _seek(self, consumer: Any, partitions: list[Any]) -> dict[Any, int]:
        beginning = consumer.beginning_offsets(partitions)
        if self._since_ms:
            found = consumer.offsets_for_times(dict.fromkeys(partitions, self._since_ms))
            ends = consumer.end_offsets(partitions)
            first = {at: ends[at] if found.get(at) is None else found[at].offset for at in partitions}
        else:
            first = beginning
        for at in partitions:
            consumer.seek(at, first[at])
        if any(first[at] for at in partitions if at.topic in self._inputs):
            self._covered_from_ms = self._since_ms
        return dict(first)

    def _poll(self, consumer: Any, isolation_level: str, ends: dict[Any, int]) -> Iterator[Any]:
        """The records up to the ends, and those that come while it reads; stops at the deadline.

        kafka-python does not say which partition holds a record that it cannot read. After the first one, each partition is read by itself.
        """
        position = {at: consumer.position(at) for at in ends}
        self._total = sum(max(0, ends[at] - position[at]) for at in ends)
        try:
            yield from self._poll_until(consumer, position, ends)
        except CorruptRecordError:
            for at, end in ends.items():
                if position[at] < end:
                    yield from self._poll_alone(isolation_level, at, position, ends)

    def _poll_alone(self, isolation_level: str, at: Any, position: dict[Any, int], ends: dict[Any, int]) -> Iterator[Any]:
        with self._consumer(isolation_level) as consumer:
            consumer.assign([at])
            while position[at] < ends[at] and time.monotonic() < self._deadline:
                consumer.seek(at, position[at])
                try:
                    yield from self._poll_until(consumer, position, {at: ends[at]})
                except CorruptRecordError:
                    self._unreadable += 1
                    position[at] += 1

    def _poll_until(self, consumer: Any, position: dict[Any, int], ends: dict[Any, int]) -> Iterator[Any]:
        while True:
            polled = consumer.poll(timeout_ms=POLL_MS)
            for at, records in polled.items():
                for record in records:
                    yield record
                    position[at] = record.offset + 1
            for at in ends:
                position[at] = max(position[at], consumer.position(at))
            behind = sum(max(0, ends[at] - position[at]) for at in ends)
            self._on_progress(self._total - behind, self._total)
            if time.monotonic() > self._deadline:
                self._to_end = self._to_end and not behind
                return
            if not polled and not behind:
                return

    def _end_offsets(self, isolation_level: str) -> dict[Any, int]:
        with self._consumer(isolation_level) as consumer:
            ends: dict[Any, int] = consumer.end_offsets(
                [TopicPartition(topic, number) for topic, numbers in self._partitions.items() for number in numbers]
            )
        return ends

    def _topic_facts(self) -> list[TopicFacts]:
        configs = asked(self._topic_configs) or {}
        return [_facts(topic, self.partitions[topic], configs.get(topic, {})) for topic in self._inputs]

    def _topic_configs(self) -> dict[str, dict[str, str]]:
        with closing(KafkaAdminClient(**kafka_options(self._kafka), request_timeout_ms=CONFIG_TIMEOUT_MS)) as admin:
            return topic_configs(admin, self._inputs)

    @contextmanager
    def _consumer(self, isolation_level: str) -> Iterator[Any]:
        # The broker has checked the checksums; in Python that takes longer than everything else.
        options = consumer_options(self._kafka) | {"isolation_level": isolation_level, "check_crcs": False}
        with closing(KafkaConsumer(**options)) as consumer:
            yield consumer


def _sent(record: Any) -> SentRecord:
    return SentRecord(
        Position(record.topic, record.partition, record.offset), record.key, record.value, tuple(record.headers), record.timestamp
    )


def _facts(name: str, partitions: int, config: Mapping[str, str]) -> TopicFacts:
    retention, largest, policy = config.get("retention.ms"), config.get("max.message.bytes"), config.get("cleanup.policy")
    timestamps = config.get("message.timestamp.type")
    return TopicFacts(
        name,
        partitions,
        append_time=None if timestamps is None else timestamps == "LogAppendTime",
        retention_ms=None if retention is None or int(retention) < 0 else int(retention),
        compacted=None if policy is None else "compact" in policy,
        max_record_bytes=None if largest is None else int(largest),
    )
