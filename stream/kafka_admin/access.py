"""Whether the topics and the group are as the service needs them, and whether this user may use them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from enum import StrEnum
from typing import Any, TypeVar

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import AuthorizationError, GroupAuthorizationFailedError, KafkaError

from stream.config.service_settings import KafkaSettings
from stream.domain.media_format import MAX_RECORD_BYTES
from stream.domain.service_problem import ServiceProblem
from stream.domain.topics import Topics
from stream.domain.wording import quantity
from stream.kafka_admin.connection import CONNECT_TIMEOUT_MS, broker_errors, kafka_options
from stream.kafka_admin.retention import retention_problems

TOPIC_AUTHORIZATION_FAILED = 29
GROUP_OPERATIONS = frozenset({"READ"})

T = TypeVar("T")

# It warns of the assignments of Faust's workers, which it cannot read, with all of their bytes.
logging.getLogger("kafka.admin._groups").setLevel(logging.ERROR)


class Use(StrEnum):
    """What a program does with Kafka."""

    WORK = "work"
    """Read chunks in a group, and write results."""
    SEND = "send"
    """Write chunks and sessions."""


def access_problems(kafka: KafkaSettings, use: Use = Use.WORK) -> list[ServiceProblem]:
    """Return everything that is wrong or remarkable about the topics and the group. Blocking. Raises `BrokerError`."""
    options = {**kafka_options(kafka), "request_timeout_ms": CONNECT_TIMEOUT_MS}
    with broker_errors(kafka), closing(KafkaAdminClient(**options)) as admin:
        return list(examine(kafka, admin, use))


def examine(kafka: KafkaSettings, admin: Any, use: Use) -> Iterator[ServiceProblem]:
    """Yield the problems that an admin client finds."""
    topics = Topics(kafka.topic_prefix)
    wanted = wanted_operations(topics, use)
    described = {topic["name"]: topic for topic in admin.describe_topics(list(wanted))}
    yield from _denied(kafka, wanted, described)
    partitions = {name: len(topic["partitions"]) for name, topic in described.items() if topic["partitions"]}
    absent = [name for name in wanted if name not in partitions and described.get(name, {}).get("error_code") != TOPIC_AUTHORIZATION_FAILED]
    if absent:
        yield from _absent(kafka, absent, asked(admin.describe_cluster) or {})
    yield from _partition_counts(kafka, {name: count for name, count in partitions.items() if name in topics.inputs})
    configs = asked(lambda: topic_configs(admin, list(partitions))) or {}
    yield from _config_problems(topics, configs)
    yield from retention_problems(kafka, configs)
    if use is Use.WORK:
        yield from _group(kafka, admin)


def wanted_operations(topics: Topics, use: Use) -> dict[str, frozenset[str]]:
    """What each topic is used for."""
    if use is Use.SEND:
        return dict.fromkeys(topics.inputs, frozenset({"WRITE"}))
    return {**dict.fromkeys(topics.inputs, frozenset({"READ"})), **dict.fromkeys(topics.outputs, frozenset({"WRITE"}))}


def asked(question: Callable[[], T]) -> T | None:
    """The answer to a question; None if the broker does not tell, or if this user may not ask. What is not known is not checked.

    A broker that is not Apache Kafka may answer with what kafka-python cannot read (``ValueError``).
    """
    try:
        return question()
    except (KafkaError, OSError, ValueError, TimeoutError):
        return None


def _denied(
    kafka: KafkaSettings, wanted: Mapping[str, frozenset[str]], described: Mapping[str, Mapping[str, Any]]
) -> Iterator[ServiceProblem]:
    lacking: dict[str, list[str]] = {}
    for name, operations in wanted.items():
        topic = described.get(name, {})
        allowed = topic.get("authorized_operations")
        if topic.get("error_code") == TOPIC_AUTHORIZATION_FAILED:
            lacking.setdefault(" and ".join(sorted({*operations, "DESCRIBE"})), []).append(name)
        # Whoever sees a topic has at least one right: no right at all means that this broker does not tell.
        elif topic.get("partitions") and allowed and not operations <= set(allowed):
            lacking.setdefault(" and ".join(sorted(operations)), []).append(name)
    for rights, names in lacking.items():
        text = f"Kafka at {kafka.bootstrap} does not allow this user {rights} on {', '.join(names)}: add these ACLs"
        yield ServiceProblem("topic_denied", text, lasting=True)


def _absent(kafka: KafkaSettings, absent: list[str], cluster: Mapping[str, Any]) -> Iterator[ServiceProblem]:
    brokers = len(cluster.get("brokers") or ())
    if 0 < brokers < kafka.replication:
        text = (
            f"kafka.replication is {kafka.replication}, but the cluster at {kafka.bootstrap} has "
            f"{quantity(brokers, 'broker')}: lower it, or start more brokers"
        )
        yield ServiceProblem("replication", text, lasting=True)
    allowed = cluster.get("authorized_operations")
    may_not = allowed is not None and "CREATE" not in allowed
    how = (
        "this user may not create topics in the cluster: create them, unless it has CREATE on their names"
        if may_not
        else "the first worker creates them"
    )
    yield ServiceProblem("topics_missing", f"missing topics: {', '.join(absent)}; {how}", lasting=False, serious=False)


def differing_partitions(counts: Mapping[str, int]) -> str:
    """A sentence about input topics whose numbers of partitions differ, and what to do."""
    counted = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
    return (
        f"the chunk and session topics must have the same number of partitions, but have {counted}: "
        "give all of them the largest (kafka-topics.sh --alter --partitions), or set kafka.topic_prefix to use other topics"
    )


def _partition_counts(kafka: KafkaSettings, counts: Mapping[str, int]) -> Iterator[ServiceProblem]:
    if len(set(counts.values())) > 1:
        yield ServiceProblem("partitions_differ", differing_partitions(counts), lasting=True)
    elif counts and min(counts.values()) < kafka.partitions:
        count = min(counts.values())
        text = (
            f"the topics have {quantity(count, 'partition')}, and kafka.partitions is {kafka.partitions}: no more than "
            f"{quantity(count, 'worker')} can share the load; enlarge the topics, or lower kafka.partitions"
        )
        yield ServiceProblem("few_partitions", text, lasting=True, serious=False)


def topic_configs(admin: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """The settings of topics, by name, as far as the broker tells their values. Raises kafka-python's errors."""
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    answer = admin.describe_configs(resources, config_filter="all").get("topic", {})
    return {
        name: {key: str(entry["value"]) for key, entry in config.items() if entry.get("value") is not None}
        for name, config in answer.items()
    }


def _config_problems(topics: Topics, configs: Mapping[str, Mapping[str, str]]) -> Iterator[ServiceProblem]:
    compacted = [name for name, config in configs.items() if "compact" in config.get("cleanup.policy", "")]
    chunks = [name for name in compacted if name in topics.inputs]
    if chunks:
        text = (
            f"the topic {', '.join(chunks)} has cleanup.policy=compact, with which Kafka deletes all but the last chunk of a session: "
            "set it to delete"
        )
        yield ServiceProblem("compaction", text, lasting=True)
    results = [name for name in compacted if name not in topics.inputs]
    if results:
        text = (
            f"the topic {', '.join(results)} has cleanup.policy=compact, with which Kafka keeps only the last record of a session, and "
            "`sentistream rebuild` finds no others: set it to delete"
        )
        yield ServiceProblem("compaction_of_results", text, lasting=True, serious=False)
    small = [name for name, config in configs.items() if config.get("max.message.bytes", "").isdigit()]
    small = [name for name in small if int(configs[name]["max.message.bytes"]) < MAX_RECORD_BYTES]
    if small:
        text = (
            f"the topic {', '.join(small)} has max.message.bytes below {MAX_RECORD_BYTES:,}, so that large chunks of video are refused: "
            "raise it (or message.max.bytes of the broker)"
        )
        yield ServiceProblem("small_messages", text, lasting=True, serious=False)


def _group(kafka: KafkaSettings, admin: Any) -> Iterator[ServiceProblem]:
    denied = ServiceProblem(
        "group_denied",
        f"Kafka at {kafka.bootstrap} does not allow this user the group {kafka.group}: give it READ on the group, or correct kafka.group",
        lasting=True,
    )
    try:
        group = admin.describe_groups([kafka.group]).get(kafka.group, {})
    except GroupAuthorizationFailedError:
        yield denied
        return
    except AuthorizationError:
        return
    # A coordinator that is not there yet, or an answer that kafka-python cannot read: not known.
    except (KafkaError, OSError, ValueError, TimeoutError):
        return
    allowed = group.get("authorized_operations")
    if allowed and not {str(getattr(operation, "name", operation)) for operation in allowed} >= GROUP_OPERATIONS:
        yield denied
