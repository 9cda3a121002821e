"""The least rights on Kafka of each kind of program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from stream.config.service_settings import KafkaSettings
from stream.domain.topics import Topics

Operation = Literal["READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"]


class Role(StrEnum):
    """What a user's programs do with Kafka."""

    WORKER = "worker"
    """`sentistream worker`: reads chunks in the group `kafka.group`, writes results."""
    PRODUCER = "producer"
    """Writes chunks and sessions."""
    GATEWAY = "gateway"
    """`sentistream gateway`: writes verdicts and decisions, counts verdicts, and looks how far the workers are behind."""
    CONSUMER = "consumer"
    """Reads results in groups whose names begin with the user's; also `sentistream rebuild`."""
    REVIEWER = "reviewer"
    """`sentistream verdict` and `sentistream revise`: write and read verdicts."""


@dataclass(frozen=True, slots=True)
class Right:
    """An operation that a user may do.

    Attributes:
        kind: What it is done to.
        name: Its name.
        operation: What is done.
        prefixed: Whether it may be done to everything whose name begins with this name.
    """

    kind: Literal["topic", "group"]
    name: str
    operation: Operation
    prefixed: bool = False

    def __str__(self) -> str:
        """In words: ``READ on topic chunks.text``."""
        return f"{self.operation} on {self.kind} {self.name}{'*' if self.prefixed else ''}"


def rights_of(role: Role, kafka: KafkaSettings, user: str) -> tuple[Right, ...]:
    """Everything that a user in a role needs, and no more. READ and WRITE bring DESCRIBE with them."""
    return tuple(_rights(role, kafka, user))


def _rights(role: Role, kafka: KafkaSettings, user: str) -> Iterator[Right]:
    topics = Topics(kafka.topic_prefix)
    match role:
        case Role.WORKER:
            yield from (Right("topic", name, "READ") for name in topics.inputs)
            yield from (Right("topic", name, "WRITE") for name in topics.outputs)
            # A worker refuses topics that delete chunks of a session (`compaction`).
            yield from (Right("topic", name, "DESCRIBE_CONFIGS") for name in (*topics.inputs, *topics.outputs))
            yield Right("group", kafka.group, "READ")
        case Role.PRODUCER:
            yield from (Right("topic", name, "WRITE") for name in topics.inputs)
        case Role.GATEWAY:
            yield from (Right("topic", name, "WRITE") for name in (topics.feedback, topics.decisions, topics.erasures))
            yield Right("topic", topics.feedback, "READ")
            yield from (Right("topic", name, "DESCRIBE") for name in topics.inputs)
            yield Right("group", kafka.group, "DESCRIBE")
        case Role.CONSUMER:
            # Dead letters and late chunks hold what people said, as it came.
            results = [name for name in topics.outputs if name not in {topics.dead_letters, topics.late}]
            yield from (Right("topic", name, "READ") for name in (*results, topics.decisions, topics.erasures))
            yield Right("group", user, "READ", prefixed=True)
        case Role.REVIEWER:
            yield from (Right("topic", topics.feedback, operation) for operation in ("READ", "WRITE"))
