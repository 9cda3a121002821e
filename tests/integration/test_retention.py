"""Topics of a real broker keep what people said for as long as the settings say, and a topic that does not is named."""

from __future__ import annotations

from contextlib import closing

import pytest
from kafka.admin import KafkaAdminClient

from stream.domain.service_problem import ServiceProblem
from stream.domain.topics import Topics
from stream.kafka_admin.access import topic_configs
from stream.kafka_admin.connection import kafka_options
from stream.kafka_admin.topics import ensure_erasures, ensure_topics
from tests.support.settings import own_settings


def test_new_topics_have_the_retention_of_the_settings(kafka_bootstrap: str, redis_url: str) -> None:
    kafka = own_settings("retention", kafka_bootstrap, redis_url, chunks_retention_hours=2.0, results_retention_days=3.0).kafka
    ensure_topics(kafka)
    ensure_erasures(kafka)
    topics = Topics(kafka.topic_prefix)
    with closing(KafkaAdminClient(**kafka_options(kafka))) as admin:
        configs = topic_configs(admin, [topics.sessions, topics.scores, topics.erasures])
    if not configs.get(topics.sessions, {}).get("retention.ms"):
        pytest.skip("this broker does not tell the settings of topics")
    assert configs[topics.sessions]["retention.ms"] == str(2 * 3_600_000)
    assert configs[topics.scores]["retention.ms"] == str(3 * 24 * 3_600_000)
    assert configs[topics.erasures]["cleanup.policy"] == "compact"
    notes: list[ServiceProblem] = []
    ensure_topics(kafka, on_note=notes.append)
    assert not [note for note in notes if note.code == "retention_differs"]
    ensure_topics(kafka.model_copy(update={"chunks_retention_hours": 1.0}), on_note=notes.append)
    (note,) = [note for note in notes if note.code == "retention_differs"]
    assert f"{topics.sessions} for 2 h instead of 1 h" in note.text
    assert topics.scores not in note.text
