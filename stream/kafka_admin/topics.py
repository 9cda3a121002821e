"""Makes sure that our topics exist and fit together."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kafka.admin import KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError

from stream.config.settings import KafkaSettings
from stream.domain.topics import Topics
from stream.kafka_admin.connection import broker_errors, kafka_options
from stream.kafka_admin.errors import BrokerError

CREATE_TIMEOUT_MS = 15_000


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What `ensure_topics` found and did: the partition count of the input topics, and the topics that were created."""

    partitions: int
    created: tuple[str, ...]


def ensure_topics(kafka: KafkaSettings) -> TopicReport:
    """Create the topics that are missing; existing ones keep their partitions.

    Chunk and session topics have to have one partition count among them (co-partitioning): a session's records meet in one worker only
    when they carry the same partition number everywhere. New topics follow existing ones.

    Raises:
        BrokerError: The broker is away or refuses, or existing topics do not fit together.
    """
    topics = Topics(kafka.topic_prefix)
    wanted = (*topics.inputs, *topics.outputs)
    with broker_errors(kafka), closing(KafkaAdminClient(**kafka_options(kafka))) as admin:
        existing = _partitions(admin, wanted)
        count = co_partitions({name: n for name, n in existing.items() if name in topics.inputs}, kafka.partitions)
        missing = tuple(name for name in wanted if name not in existing)
        if missing:
            _create(admin, missing, count, kafka.replication)
            # Another process may have created them in the meantime, with other settings.
            co_partitions({name: n for name, n in _partitions(admin, wanted).items() if name in topics.inputs}, count)
    return TopicReport(count, missing)


def co_partitions(existing: dict[str, int], default: int) -> int:
    """The one partition count of the existing input topics, or the default where there are none. Raises `BrokerError`."""
    counts = set(existing.values())
    if len(counts) > 1:
        found = ", ".join(f"{name}: {count}" for name, count in sorted(existing.items()))
        raise BrokerError(
            f"the chunk and session topics must have the same number of partitions, but have {found}: "
            "recreate them, or set kafka.topic_prefix to use others"
        )
    return counts.pop() if counts else default


def _partitions(admin: Any, names: tuple[str, ...]) -> dict[str, int]:
    present = sorted(set(admin.list_topics()) & set(names))
    described = admin.describe_topics(present) if present else []
    return {topic["name"]: len(topic["partitions"]) for topic in described if topic["partitions"]}


def _create(admin: Any, names: tuple[str, ...], partitions: int, replication: int) -> None:
    options = {"num_partitions": partitions, "replication_factor": replication}
    try:
        admin.create_topics({name: dict(options) for name in names}, timeout_ms=CREATE_TIMEOUT_MS)
    except TopicAlreadyExistsError:
        for name in names:
            try:
                admin.create_topics({name: dict(options)}, timeout_ms=CREATE_TIMEOUT_MS)
            except TopicAlreadyExistsError:
                continue
    admin.wait_for_topics(list(names), timeout_ms=CREATE_TIMEOUT_MS)
