from __future__ import annotations

import pytest

from stream.config.service_settings import KafkaSettings
from stream.domain.topics import Topics
from stream.kafka_admin.retention import new_topic_configs, retention_problems

KAFKA = KafkaSettings(topic_prefix="t.", chunks_retention_hours=2, results_retention_days=3)
TOPICS = Topics("t.")


def test_what_people_said_is_kept_for_hours_and_results_for_days() -> None:
    chunks = {*TOPICS.inputs, TOPICS.late, TOPICS.dead_letters}
    for name in (*TOPICS.inputs, *TOPICS.outputs):
        assert new_topic_configs(KAFKA, name) == {"retention.ms": str(7_200_000 if name in chunks else 259_200_000)}
    assert new_topic_configs(KAFKA, TOPICS.feedback) == {}
    assert new_topic_configs(KAFKA, TOPICS.erasures) == {"cleanup.policy": "compact"}


KEPT = {"7200000": None, "": None, "soon": None, "604800000": "t.sessions for 168 h instead of 2 h", "-1": "t.sessions for ever instead"}


@pytest.mark.parametrize(("kept", "said"), KEPT.items())
def test_a_topic_that_keeps_records_for_another_time_is_named(kept: str, said: str | None) -> None:
    problems = list(retention_problems(KAFKA, {TOPICS.sessions: {"retention.ms": kept}, TOPICS.feedback: {"retention.ms": "1"}}))
    assert len(problems) == (said is not None)
    if said is not None:
        assert said in problems[0].text
        assert (problems[0].code, problems[0].serious) == ("retention_differs", False)
