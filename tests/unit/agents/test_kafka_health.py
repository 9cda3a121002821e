"""A worker looks at the broker only if it has a reason to, and names what is refused."""

from __future__ import annotations

import pytest

from stream.agents import kafka_health
from stream.agents.kafka_health import KafkaHealth
from stream.agents.worker_state import WorkerState
from stream.config.service_settings import KafkaSettings
from stream.domain.service_problem import ServiceProblem
from stream.kafka_admin.connection import THE_GROUP

AWAY = ServiceProblem("refused", "Kafka does not answer", lasting=False)
PARTLY = ServiceProblem("advertised_listener", "one of three", lasting=False, serious=False)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[ServiceProblem | None]:
    """What the next looks at the broker find."""
    found: list[ServiceProblem | None] = []
    monkeypatch.setattr(kafka_health, "broker_problem", lambda _kafka: found.pop(0))
    return found


async def problem(state: WorkerState) -> ServiceProblem | None:
    return await KafkaHealth(KafkaSettings(topic_prefix="p."), state).problem()


async def test_a_broker_that_answers_is_not_looked_at(looks: list[ServiceProblem | None]) -> None:
    assert await problem(WorkerState(partitions=6, broker_silent_s=lambda: 0.2)) is None
    assert looks == []


@pytest.mark.parametrize(
    "state",
    [
        WorkerState(),
        WorkerState(partitions=6, broker_silent_s=lambda: 9.0),
        WorkerState(partitions=6, refused={"p.scores": "TimeoutError"}),
    ],
    ids=["not assigned", "silent", "refused"],
)
async def test_a_reason_leads_to_a_look(state: WorkerState, looks: list[ServiceProblem | None]) -> None:
    looks.append(AWAY)
    assert await problem(state) is AWAY


async def test_a_full_worker_and_a_single_broker_of_several_are_no_problem(looks: list[ServiceProblem | None]) -> None:
    looks += [None, PARTLY]
    for _ in range(2):
        assert await problem(WorkerState(partitions=6, broker_silent_s=lambda: 9.0)) is None


@pytest.mark.parametrize(
    ("error", "code", "lasting", "said"),
    [
        (
            "TopicAuthorizationFailedError",
            "topic_denied",
            True,
            "does not allow this user what it asks for (TopicAuthorizationFailedError, p.scores)",
        ),
        ("MessageSizeTooLargeError", "refused_request", True, "refuses a record as too large: set max.message.bytes"),
        ("NotEnoughReplicasError", "refused_request", False, "does not take records for p.scores (NotEnoughReplicasError); see its log"),
        ("ProducerSendError", "refused_request", False, "does not take records for p.scores (ProducerSendError)"),
    ],
)
async def test_refused_results_are_explained(error: str, code: str, lasting: bool, said: str, looks: list[ServiceProblem | None]) -> None:
    looks.append(None)
    found = await problem(WorkerState(partitions=6, refused={"p.scores": error}))
    assert found is not None
    assert (found.code, found.lasting) == (code, lasting)
    assert said in found.text


async def test_a_group_that_refuses_for_an_unknown_reason_is_named(looks: list[ServiceProblem | None]) -> None:
    looks.append(None)
    found = await problem(WorkerState(refused={THE_GROUP: "KafkaError"}))
    assert found is not None
    assert (found.code, found.lasting) == ("refused_request", False)
    assert found.text.endswith("does not keep this worker in the group (KafkaError); see its log")


async def test_a_group_that_is_not_allowed_has_its_code(looks: list[ServiceProblem | None]) -> None:
    looks.append(None)
    found = await problem(WorkerState(partitions=6, refused={THE_GROUP: "GroupAuthorizationFailedError"}))
    assert found is not None
    assert (found.code, found.lasting) == ("group_denied", True)
    assert found.text.endswith("give it READ on the group, or correct kafka.group")


async def test_a_group_that_refuses_the_worker_is_explained(looks: list[ServiceProblem | None]) -> None:
    looks.append(None)
    found = await KafkaHealth(KafkaSettings(session_timeout_s=2), WorkerState(refused={THE_GROUP: "InvalidSessionTimeoutError"})).problem()
    assert found is not None
    assert (found.code, found.lasting) == ("refused_request", True)
    assert "does not allow kafka.session_timeout_s: 2 is outside of its group.min.session.timeout.ms" in found.text
