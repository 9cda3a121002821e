"""The API against its own description (OpenAPI): no 5xx, and no answer that the description does not know."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from stream.explain.session_summary import summarise
from stream.local.redis_server import RedisServer
from stream.sinks.alert_queue import AlertQueue
from stream.sinks.redis_sink import RedisSink
from tests.fakes.alerts import make_alert
from tests.fakes.results import SESSION, make_partial, make_score
from tests.support.finals import finalise
from tests.support.gateways import gateway_settings, running_gateway


def no_bug(_context: Any, response: Any, _case: Any) -> None:
    """503 is an answer: a service is away. There is no Kafka here, so verdicts cannot be sent."""
    assert response.status_code < 500 or response.status_code == 503, response.status_code


CHECKS = [no_bug, response_schema_conformance, status_code_conformance, content_type_conformance]
EXAMPLES = 6
"""Requests of each kind to each operation."""


async def seed(server: RedisServer) -> None:
    """A session of every kind of result."""
    redis = gateway_settings(server.url).redis
    sink, queue = RedisSink(redis), AlertQueue(redis)
    for track in ("agent", "customer"):
        for end_ms in range(4000, 16_000, 2000):
            await finalise(sink, make_score(end_ms, None if end_ms == 8000 else 0.5, track=track, role=track))
        await sink.put_partial(make_partial(18_000, track=track))
    await sink.put_summary(summarise(SESSION, 0, await sink.finals(SESSION)))
    await queue.feed([make_alert(60_000), make_alert(80_000, rule="silence")])
    await sink.close()
    await queue.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway in a thread of its own, with results."""
    started, stop, found = threading.Event(), threading.Event(), list[str]()

    async def serve() -> None:
        server = RedisServer(tmp_path_factory.mktemp("api"))
        await server.start()
        await seed(server)
        async with running_gateway(gateway_settings(server.url, requests_per_minute=1_000_000)) as url:
            found.append(url)
            started.set()
            await asyncio.to_thread(stop.wait)
        await server.process.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(60)
    yield found[0]
    stop.set()
    thread.join(30)


@pytest.fixture(scope="module")
def schema(address: str) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{address}/api/v1/openapi.json")


def test_the_description_is_valid(address: str) -> None:
    OpenAPIV31SpecValidator(httpx.get(f"{address}/api/v1/openapi.json").json()).validate()


def test_the_contracts_are_served(address: str) -> None:
    committed = Path(__file__).parents[2] / "docs" / "contracts"
    for path in ("asyncapi.json", "schemas/score.json", "schemas/alert.json"):
        assert httpx.get(f"{address}/api/v1/{path}").content == (committed / path).read_bytes()
    missing = httpx.get(f"{address}/api/v1/schemas/..%2Fasyncapi.json")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


def test_every_operation_keeps_to_the_description(schema: schemathesis.BaseSchema) -> None:
    problems: list[str] = []
    for found in schema.exclude(path="/api/v1/stream").get_all_operations():  # its answers do not end
        assert isinstance(found, Ok)
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
        def keeps(case: Any) -> None:
            case.call_and_validate(checks=CHECKS)

        try:
            keeps()
        except (FailureGroup, Exception) as problem:  # every operation is tried, and all that is wrong is told
            problems.append(f"{operation.method.upper()} {operation.path}: {problem}")
    assert not problems, "\n".join(problems)
