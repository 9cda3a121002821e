"""What a broker does not tell is not held against it."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.errors import UnsupportedVersionError

from stream.config.service_settings import KafkaSettings
from stream.domain.topics import Topics
from stream.kafka_admin.access import Use, examine

TOPICS = Topics("p.")
KAFKA = KafkaSettings(topic_prefix="p.", partitions=6)


class Broker:
    """Answers as an admin client does; it has every topic, with the given rights."""

    def __init__(self, rights: list[str] | None, partitions: int = 6) -> None:
        self._rights = rights
        self._partitions = partitions

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        partitions = [{"partition_index": index} for index in range(self._partitions)]
        return [{"name": name, "error_code": 0, "partitions": partitions, "authorized_operations": self._rights} for name in names]

    def describe_configs(self, _resources: object, **_options: object) -> dict[str, Any]:
        raise UnsupportedVersionError

    def describe_groups(self, _names: object) -> dict[str, Any]:
        raise ValueError("15 is not a valid ACLOperation")


@pytest.mark.parametrize("rights", [None, [], ["DESCRIBE", "READ", "WRITE"]])
@pytest.mark.parametrize("use", Use)
def test_a_broker_that_does_not_tell_is_taken_as_it_is(rights: list[str] | None, use: Use) -> None:
    assert list(examine(KAFKA, Broker(rights), use)) == []


def test_rights_that_a_broker_tells_are_compared_with_what_is_needed() -> None:
    reader = Broker(["DESCRIBE", "READ"])
    (denied,) = examine(KAFKA, reader, Use.WORK)
    assert denied.text == (f"Kafka at {KAFKA.bootstrap} does not allow this user WRITE on {', '.join(TOPICS.outputs)}: add these ACLs")
    (denied,) = examine(KAFKA, reader, Use.SEND)
    assert (denied.code, denied.lasting, denied.serious) == ("topic_denied", True, True)
    assert f"WRITE on {', '.join(TOPICS.inputs)}" in denied.text


def test_fewer_partitions_than_wanted_are_a_note() -> None:
    (note,) = examine(KAFKA, Broker(None, partitions=2), Use.WORK)
    assert (note.code, note.serious) == ("few_partitions", False)
    assert "have 2 partitions, and kafka.partitions is 6: no more than 2 workers can share the load" in note.text
    assert list(examine(KAFKA, Broker(None, partitions=12), Use.WORK)) == []
