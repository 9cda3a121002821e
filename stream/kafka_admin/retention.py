"""How long topics keep records: what people said and how they looked is not kept for longer than the settings say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stream.config.service_settings import KafkaSettings
from stream.domain.service_problem import ServiceProblem
from stream.domain.topics import Topics

HOUR_MS = 3_600_000


def retention_ms(kafka: KafkaSettings, topic: str) -> int | None:
    """How long a topic is to keep records, by the settings; None for a topic whose retention the broker decides."""
    topics = Topics(kafka.topic_prefix)
    if topic in {*topics.inputs, topics.late, topics.dead_letters}:
        return round(kafka.chunks_retention_hours * HOUR_MS)
    if topic in {*topics.outputs, topics.decisions}:
        return round(kafka.results_retention_days * 24 * HOUR_MS)
    return None


def new_topic_configs(kafka: KafkaSettings, topic: str) -> dict[str, str]:
    """The settings with which a topic is created."""
    if topic == Topics(kafka.topic_prefix).erasures:
        return {"cleanup.policy": "compact"}
    kept_ms = retention_ms(kafka, topic)
    return {} if kept_ms is None else {"retention.ms": str(kept_ms)}


def retention_problems(kafka: KafkaSettings, configs: Mapping[str, Mapping[str, str]]) -> Iterator[ServiceProblem]:
    """Topics that keep records for another time than the settings say.

    Args:
        kafka: The settings.
        configs: The settings of the topics, by name, as far as the broker tells them.
    """
    differing = []
    for name, config in configs.items():
        wanted, found = retention_ms(kafka, name), config.get("retention.ms", "")
        if wanted is not None and found.removeprefix("-").isdigit() and int(found) != wanted:
            kept = "for ever" if int(found) < 0 else f"for {int(found) / HOUR_MS:g} h"
            differing.append(f"{name} {kept} instead of {wanted / HOUR_MS:g} h")
    if differing:
        text = (
            f"topics keep records for another time than kafka.chunks_retention_hours and kafka.results_retention_days say: "
            f"{', '.join(differing)}; change retention.ms of the topics, or the settings"
        )
        yield ServiceProblem("retention_differs", text, lasting=True, serious=False)
