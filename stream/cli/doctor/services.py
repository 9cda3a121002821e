"""Findings about the Kafka, Redis and Triton of the settings."""

from __future__ import annotations

import asyncio
import contextlib

from pydantic import BaseModel

from stream.cli.doctor.finding import Finding, Status
from stream.config.settings import KafkaSettings, RedisSettings, Settings, TritonSettings
from stream.domain.topics import Topics
from stream.local.errors import LocalStackError
from stream.local.reachable import KAFKA_PORT, TRITON_PORT, any_listens, parse_addresses
from stream.model_repository.served_models import MODEL_NAMES
from stream.serving.client import TritonClient

TIMEOUT_S = 5.0
"""Longest wait for one service. A healthy one answers in milliseconds; a first connection with TLS and login may take seconds."""
EMBEDDED = "nothing to do for `demo` and `up`, which start their own; for other commands start it and set"


async def check_services(settings: Settings) -> list[Finding]:
    """Check Kafka, Redis and Triton at the same time, and return all findings."""
    found = await asyncio.gather(
        _check_kafka(settings.kafka),
        _check_redis(settings.redis),
        _check_triton(settings.triton),
    )
    return [finding for findings in found for finding in findings]


def _unreachable(name: str, address: str, setting: str, section: BaseModel) -> Finding:
    """The finding for a service that does not answer. At a default address that is expected: the embedded stack replaces it."""
    configured = getattr(section, setting.split(".")[1]) != type(section).model_fields[setting.split(".")[1]].default
    if configured:
        return Finding(name, Status.MISSING, f"does not answer at {address}", "reachable", f"start it, or correct {setting}")
    return Finding(name, Status.WARNING, f"does not answer at {address}", "reachable", f"{EMBEDDED} {setting}")


async def _check_kafka(kafka: KafkaSettings) -> list[Finding]:
    try:
        addresses = list(parse_addresses(kafka.bootstrap, KAFKA_PORT))
    except LocalStackError as error:
        return [Finding("Kafka", Status.MISSING, str(error), "HOST:PORT", "correct kafka.bootstrap")]
    if not await any_listens(addresses):
        return [_unreachable("Kafka", kafka.bootstrap, "kafka.bootstrap", kafka)]
    try:
        async with asyncio.timeout(TIMEOUT_S + 1):
            partitions = await asyncio.to_thread(topic_partitions, kafka)
    except Exception as error:  # whatever goes wrong is a finding
        fix = "check kafka.security, kafka.username, kafka.password and kafka.ca_file"
        return [
            Finding(
                "Kafka", Status.MISSING, f"accepts connections at {kafka.bootstrap}, but fails with {type(error).__name__}", "answers", fix
            )
        ]
    return [Finding("Kafka", Status.OK, f"answers at {kafka.bootstrap}"), *topic_findings(Topics(kafka.topic_prefix), partitions)]


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
        fix = "delete these topics and create them again with the same number of partitions"
        findings.append(Finding("co-partitioned", Status.MISSING, found, "equal", fix))
    elif counts:
        findings.append(Finding("co-partitioned", Status.OK, f"{next(iter(counts.values()))} partitions each", "equal"))
    return findings


async def _check_redis(redis: RedisSettings) -> list[Finding]:
    address = redis.address
    if address.hosts and not await any_listens(list(address.hosts)):
        return [_unreachable("Redis", str(address), "redis.url", redis)]
    from stream.sinks.examine import examine  # noqa: PLC0415 (it is slow to import)

    limited = redis.model_copy(update={"timeout_s": min(redis.timeout_s, TIMEOUT_S)})
    found = await examine(limited, writes=True)
    if found.problem is not None:
        return [Finding("Redis", Status.MISSING, f"at {address}, {found.problem.found}", "usable", found.problem.fix)]
    cluster = ", a cluster" if found.mode == "cluster" else ""
    finding = Finding("Redis", Status.OK, f"{found.version or 'answers'} at {address}{cluster}")
    return [finding, *(Finding("Redis", Status.WARNING, f"at {address}, {risk.found}", fix=risk.fix) for risk in found.risks)]


async def _check_triton(triton: TritonSettings) -> list[Finding]:
    try:
        addresses = list(parse_addresses(triton.url, TRITON_PORT))
    except LocalStackError as error:
        return [Finding("Triton", Status.MISSING, str(error), "HOST:PORT", "correct triton.url")]
    if not await any_listens(addresses):
        return [_unreachable("Triton", triton.url, "triton.url", triton)]
    client = TritonClient(triton.url, TIMEOUT_S)
    try:
        ready = await asyncio.gather(*(client.is_ready(model) for model in MODEL_NAMES))
    finally:
        await client.close()
    missing = [model for model, is_ready in zip(MODEL_NAMES, ready, strict=True) if not is_ready]
    if missing:
        fix = "let it serve triton_models, and check that triton.url names its gRPC port (by default 8001)"
        return [Finding("Triton", Status.MISSING, f"at {triton.url}, not ready: {', '.join(missing)}", "all models", fix)]
    return [Finding("Triton", Status.OK, f"all models ready at {triton.url}")]
