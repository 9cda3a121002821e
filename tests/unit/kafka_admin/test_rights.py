"""Each kind of program gets the rights that it needs, and no others."""

from __future__ import annotations

import pytest

from stream.config.service_settings import KafkaSettings
from stream.domain.topics import Topics
from stream.kafka_admin.access import Use, wanted_operations
from stream.kafka_admin.rights import Right, Role, rights_of

KAFKA = KafkaSettings(topic_prefix="own.", group="workers")
TOPICS = Topics("own.")


def of(role: Role) -> set[tuple[str, str, str]]:
    return {(right.kind, right.name, right.operation) for right in rights_of(role, KAFKA, "alice")}


@pytest.mark.parametrize(("role", "use"), [(Role.WORKER, Use.WORK), (Role.PRODUCER, Use.SEND)])
def test_a_program_may_do_what_it_checks_that_it_may_do(role: Role, use: Use) -> None:
    wanted = {("topic", name, operation) for name, operations in wanted_operations(TOPICS, use).items() for operation in operations}
    assert wanted <= of(role)


def test_nobody_writes_what_another_program_writes() -> None:
    writers = {role: {name for _, name, operation in of(role) if operation == "WRITE"} for role in Role}
    assert writers[Role.WORKER] == set(TOPICS.outputs)
    assert writers[Role.PRODUCER] == set(TOPICS.inputs)
    assert writers[Role.CONSUMER] == set()
    assert writers[Role.GATEWAY] == {TOPICS.feedback, TOPICS.decisions, TOPICS.erasures}
    assert writers[Role.REVIEWER] == {TOPICS.feedback}


def test_only_workers_read_what_people_said() -> None:
    raw = {*TOPICS.inputs, TOPICS.dead_letters, TOPICS.late}
    for role in set(Role) - {Role.WORKER}:
        assert not {name for _, name, operation in of(role) if operation == "READ"} & raw, role


def test_consumers_have_groups_of_their_own() -> None:
    (group,) = (right for right in rights_of(Role.CONSUMER, KAFKA, "alice") if right.kind == "group")
    assert group == Right("group", "alice", "READ", prefixed=True)
    assert str(group) == "READ on group alice*"
