"""Creates the topics and checks that their partition counts match."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kafka.admin import KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError

from stream.config.service_settings import KafkaSettings
from stream.domain.service_problem import ServiceProblem
from stream.domain.topics import Topics
from stream.kafka_admin.access import Use, differing_partitions, examine, wanted_operations
from stream.kafka_admin.connection import as_error, broker_errors, kafka_options, require_broker
from stream.kafka_admin.errors import WrongBrokerError
from stream.kafka_admin.retention import new_topic_configs

CREATE_TIMEOUT_MS = 15_000
"""A cluster elects a leader for each new partition; on a slow machine that takes some seconds."""


@dataclass(frozen=True, slots=True)
class TopicReport:
    """The result of `ensure_topics`.

    Attributes:
        partitions: Partition count of the input topics.
        created: Names of the topics that were created.
    """

    partitions: int
    created: tuple[str, ...]


def ensure_topics(kafka: KafkaSettings, use: Use = Use.WORK, on_note: Callable[[ServiceProblem], None] | None = None) -> TopicReport:
    """Check the broker, and create the topics that are missing: all of them, or to send only those of chunks and sessions.

    Existing topics keep their partitions, and new topics get the same number.

    Chunk and session topics must be co-partitioned, that is, have the same number of partitions. A session's key then has the same
    partition number in every topic, and its records meet in one worker. With different counts they would be spread over several workers,
    and none of them could align the session.

    Args:
        kafka: The broker.
        use: What the caller will do with the topics.
        on_note: Called with what is remarkable about them and does no harm yet.

    Raises:
        BrokerError: The broker is away.
        WrongBrokerError: It cannot be used with these settings, refuses what the caller will do, or its topics cannot be used.
    """
    require_broker(kafka)
    topics = Topics(kafka.topic_prefix)
    wanted = tuple(wanted_operations(topics, use))
    with broker_errors(kafka), closing(KafkaAdminClient(**kafka_options(kafka))) as admin:
        problems = list(examine(kafka, admin, use))
        for problem in problems:
            if problem.serious:
                raise as_error(problem)
        existing = _partitions(admin, wanted)
        count = co_partitions({name: n for name, n in existing.items() if name in topics.inputs}, kafka.partitions)
        missing = tuple(name for name in wanted if name not in existing)
        if missing:
            _create(admin, kafka, missing, count)
            # Another process may have created topics in the meantime, with other settings.
            co_partitions({name: n for name, n in _partitions(admin, wanted).items() if name in topics.inputs}, count)
    for problem in problems:
        if on_note is not None and problem.code != "topics_missing":
            on_note(problem)
    return TopicReport(count, missing)


def ensure_feedback(kafka: KafkaSettings) -> None:
    """Create the topic of reviewers' verdicts if it is missing. Raises `BrokerError` and `WrongBrokerError`."""
    _ensure(kafka, Topics(kafka.topic_prefix).feedback)


def ensure_decisions(kafka: KafkaSettings) -> None:
    """Create the topic of decisions on alerts if it is missing. Raises `BrokerError` and `WrongBrokerError`."""
    _ensure(kafka, Topics(kafka.topic_prefix).decisions)


def ensure_erasures(kafka: KafkaSettings) -> None:
    """Create the topic of erased sessions if it is missing. Raises `BrokerError` and `WrongBrokerError`."""
    _ensure(kafka, Topics(kafka.topic_prefix).erasures)


def _ensure(kafka: KafkaSettings, topic: str) -> None:
    require_broker(kafka)
    with broker_errors(kafka), closing(KafkaAdminClient(**kafka_options(kafka))) as admin:
        if not _partitions(admin, (topic,)):
            _create(admin, kafka, (topic,), kafka.partitions)


def co_partitions(existing: dict[str, int], default: int) -> int:
    """The common partition count of the existing input topics, or the default without any. Raises `WrongBrokerError` when they differ."""
    counts = set(existing.values())
    if len(counts) > 1:
        raise WrongBrokerError(differing_partitions(existing))
    return counts.pop() if counts else default


def _partitions(admin: Any, names: tuple[str, ...]) -> dict[str, int]:
    present = sorted(set(admin.list_topics()) & set(names))
    described = admin.describe_topics(present) if present else []
    return {topic["name"]: len(topic["partitions"]) for topic in described if topic["partitions"]}


def _create(admin: Any, kafka: KafkaSettings, names: tuple[str, ...], partitions: int) -> None:
    wanted = {
        name: {"num_partitions": partitions, "replication_factor": kafka.replication, "configs": new_topic_configs(kafka, name)}
        for name in names
    }
    try:
        admin.create_topics(wanted, timeout_ms=CREATE_TIMEOUT_MS)
    except TopicAlreadyExistsError:
        # Another process created one of them just now. The error does not say which were created, so each is tried by itself.
        for name in names:
            try:
                admin.create_topics({name: wanted[name]}, timeout_ms=CREATE_TIMEOUT_MS)
            except TopicAlreadyExistsError:
                continue
    # Brokers learn of new topics one after the other: a client that is quick to follow would still be told that they do not exist.
    admin.wait_for_topics(list(names), timeout_ms=CREATE_TIMEOUT_MS)
