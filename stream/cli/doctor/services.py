"""What the doctor says of the services that the settings name."""

from __future__ import annotations

import asyncio
import contextlib

from pydantic import BaseModel

from stream.cli.doctor.finding import Finding, Status
from stream.config.settings import KafkaSettings, RedisSettings, Settings, TritonSettings
from stream.domain.topics import Topics
from stream.local.errors import LocalStackError
from stream.local.reachable import addresses, any_listens, redis_address
from stream.model_repository.served_models import MODEL_NAMES
from stream.serving.client import TritonClient

TIMEOUT_S = 5.0
EMBEDDED = "nothing to do for `demo` and `up`, which bring their own; else start it and set"


async def check_services(settings: Settings) -> list[Finding]:
    """All findings about Kafka, Redis and Triton; each waits a few seconds at most."""
    found = await asyncio.gather(
        _check_kafka(settings.kafka),
        _check_redis(settings.redis),
        _check_triton(settings.triton),
    )
    return [finding for findings in found for finding in findings]


def _absent(what: str, where: str, setting: str, section: BaseModel) -> Finding:
    """Nothing answers: bad where somebody named the address, expected where nobody did."""
    configured = getattr(section, setting.split(".")[1]) != type(section).model_fields[setting.split(".")[1]].default
    if configured:
        return Finding(what, Status.MISSING, f"does not answer at {where}", "reachable", f"start it, or correct {setting}")
    return Finding(what, Status.WARNING, f"does not answer at {where}", "reachable", f"{EMBEDDED} {setting}")


async def _check_kafka(kafka: KafkaSettings) -> list[Finding]:
    try:
        places = list(addresses(kafka.bootstrap, 9092))
    except LocalStackError as error:
        return [Finding("Kafka", Status.MISSING, str(error), "HOST:PORT", "correct kafka.bootstrap")]
    if not await any_listens(places):
        return [_absent("Kafka", kafka.bootstrap, "kafka.bootstrap", kafka)]
    try:
        async with asyncio.timeout(TIMEOUT_S + 1):
            partitions = await asyncio.to_thread(topic_partitions, kafka)
    except Exception as error:  # every kind of failure is a finding here
        mend = "check kafka.security, kafka.username, kafka.password and kafka.ca_file"
        return [Finding("Kafka", Status.MISSING, f"listens at {kafka.bootstrap}, but: {type(error).__name__}", "answers", mend)]
    return [Finding("Kafka", Status.OK, f"answers at {kafka.bootstrap}"), *topic_findings(Topics(kafka.topic_prefix), partitions)]


def topic_partitions(kafka: KafkaSettings) -> dict[str, int]:
    """Partition counts of all topics that we may see. Raises kafka-python's errors."""
    from kafka import KafkaAdminClient  # noqa: PLC0415 (slow to import)

    from stream.kafka_admin.connection import kafka_options  # noqa: PLC0415

    limit_ms = int(TIMEOUT_S * 1000)
    admin = KafkaAdminClient(**{**kafka_options(kafka), "request_timeout_ms": limit_ms, "bootstrap_timeout_ms": limit_ms})
    try:
        return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
    finally:
        with contextlib.suppress(Exception):
            admin.close()


def topic_findings(topics: Topics, partitions: dict[str, int]) -> list[Finding]:
    """Are our topics there, and do all chunk and session topics have the same number of partitions?"""
    absent = [name for name in (*topics.inputs, *topics.outputs) if name not in partitions]
    counts = {name: partitions[name] for name in topics.inputs if name in partitions}
    findings = []
    if absent:
        mend = "nothing to do: a worker or `sentistream produce` makes them, if it may; else make them yourself"
        findings.append(Finding("topics", Status.WARNING, f"not there: {', '.join(absent)}", "all", mend))
    else:
        findings.append(Finding("topics", Status.OK, "all there"))
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        mend = "chunk and session topics must have the same number of partitions; make them anew"
        findings.append(Finding("co-partitioned", Status.MISSING, found, "equal", mend))
    elif counts:
        findings.append(Finding("co-partitioned", Status.OK, f"{next(iter(counts.values()))} partitions each", "equal"))
    return findings


async def _check_redis(redis: RedisSettings) -> list[Finding]:
    try:
        address = redis_address(redis.url.get_secret_value())
    except LocalStackError:
        return [Finding("Redis", Status.MISSING, "redis.url is no redis:// URL", "redis://HOST:PORT/0", "correct redis.url")]
    where = f"{address[0]}:{address[1]}" if address else "its socket"
    if address and not await any_listens([address]):
        return [_absent("Redis", where, "redis.url", redis)]
    from stream.sinks.connection import connect  # noqa: PLC0415 (slow to import)

    client = connect(redis)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            server = await client.info("server")
    except Exception as error:  # every kind of failure is a finding here
        found = f"listens at {where}, but: {type(error).__name__}"
        return [Finding("Redis", Status.MISSING, found, "answers", "check user and password in redis.url")]
    finally:
        await client.aclose()
    return [Finding("Redis", Status.OK, f"{server.get('redis_version', 'answers')} at {where}")]


async def _check_triton(triton: TritonSettings) -> list[Finding]:
    try:
        places = list(addresses(triton.url, 8001))
    except LocalStackError as error:
        return [Finding("Triton", Status.MISSING, str(error), "HOST:PORT", "correct triton.url")]
    if not await any_listens(places):
        return [_absent("Triton", triton.url, "triton.url", triton)]
    client = TritonClient(triton.url, TIMEOUT_S)
    try:
        ready = await asyncio.gather(*(client.is_ready(model) for model in MODEL_NAMES))
    finally:
        await client.close()
    missing = [model for model, is_ready in zip(MODEL_NAMES, ready, strict=True) if not is_ready]
    if missing:
        mend = "serve triton_models with it (and check that the address is the gRPC port, by default 8001)"
        return [Finding("Triton", Status.MISSING, f"at {triton.url}, not ready: {', '.join(missing)}", "all models", mend)]
    return [Finding("Triton", Status.OK, f"all models ready at {triton.url}")]
