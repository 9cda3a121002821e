"""Findings about the Kafka, Redis and Triton of the settings."""

from __future__ import annotations

import asyncio
import contextlib

from stream.cli.doctor.finding import Finding, Status
from stream.config.service_settings import KafkaSettings
from stream.config.settings import Settings
from stream.domain.service_problem import ServiceProblem
from stream.domain.topics import Topics
from stream.local.reachable import Service, look_at

TIMEOUT_S = 5.0
"""Longest wait for the list of topics, which a healthy broker gives in milliseconds."""
EMBEDDED = "nothing to do for `demo` and `up`, which start their own; for other commands: "
AWAY = frozenset({"refused", "away"})
OF_TOPICS = frozenset({"topics_missing", "partitions_differ"})
"""Problems that `topic_findings` describes."""


async def check_services(settings: Settings) -> list[Finding]:
    """Look at Kafka, Redis and Triton at the same time, and return all findings."""
    looked = await look_at(settings, Service)
    findings = [finding for service in Service for finding in service_findings(settings, service, looked[service])]
    if not any(problem.serious and problem.code not in OF_TOPICS for problem in looked[Service.KAFKA]):
        with contextlib.suppress(Exception):  # whatever goes wrong now has been found above, or passes
            partitions = await asyncio.to_thread(topic_partitions, settings.kafka)
            findings += topic_findings(Topics(settings.kafka.topic_prefix), partitions)
    return findings


def service_findings(settings: Settings, service: Service, problems: list[ServiceProblem]) -> list[Finding]:
    """The findings about one service; at a default address it is expected that nothing answers: the embedded stack replaces it."""
    name, address, configured = _address(settings, service)
    relevant = [problem for problem in problems if problem.code not in OF_TOPICS]
    findings = []
    if not any(problem.serious for problem in relevant):
        findings.append(Finding(name, Status.OK, f"answers at {address}"))
    for problem in relevant:
        embedded = problem.code in AWAY and not configured
        status = Status.MISSING if problem.serious and not embedded else Status.WARNING
        found = problem.code.replace("_", " ")
        findings.append(Finding(name, status, found, "usable", (EMBEDDED if embedded else "") + problem.text))
    return findings


def _address(settings: Settings, service: Service) -> tuple[str, str, bool]:
    """Name and address of a service for people, and whether the address is not the default."""
    default = Settings()
    match service:
        case Service.KAFKA:
            return "Kafka", settings.kafka.bootstrap, settings.kafka.bootstrap != default.kafka.bootstrap
        case Service.REDIS:
            return "Redis", str(settings.redis.address), settings.redis.url != default.redis.url
        case Service.TRITON:
            return "Triton", settings.triton.url, settings.triton.url != default.triton.url


def topic_partitions(kafka: KafkaSettings) -> dict[str, int]:
    """Return the number of partitions of each topic that the user may see. Raises kafka-python's errors."""
    from kafka import KafkaAdminClient  # noqa: PLC0415 (it is slow to import)

    from stream.kafka_admin.connection import kafka_options  # noqa: PLC0415

    limit_ms = int(TIMEOUT_S * 1000)
    admin = KafkaAdminClient(**{**kafka_options(kafka), "request_timeout_ms": limit_ms, "bootstrap_timeout_ms": limit_ms})
    try:
        return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
    finally:
        with contextlib.suppress(Exception):
            admin.close()


def topic_findings(topics: Topics, partitions: dict[str, int]) -> list[Finding]:
    """Check that the service's topics exist and that its input topics have the same number of partitions.

    A session's records must be in the same partition of each input topic: only then does one worker read all of them.

    Args:
        topics: The service's topics.
        partitions: Number of partitions of each topic that exists.
    """
    absent = [name for name in (*topics.inputs, *topics.outputs) if name not in partitions]
    counts = {name: partitions[name] for name in topics.inputs if name in partitions}
    findings = []
    if absent:
        fix = "nothing to do if workers may create topics: the first one does; else create them yourself"
        findings.append(Finding("topics", Status.WARNING, f"missing: {', '.join(absent)}", "all", fix))
    else:
        findings.append(Finding("topics", Status.OK, "all exist"))
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        fix = "give all of them the largest number (kafka-topics.sh --alter --topic NAME --partitions NUMBER) while no session is open"
        findings.append(Finding("co-partitioned", Status.MISSING, found, "equal", fix))
    elif counts:
        findings.append(Finding("co-partitioned", Status.OK, f"{next(iter(counts.values()))} partitions each", "equal"))
    return findings
