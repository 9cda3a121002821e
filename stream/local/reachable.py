"""Looks at the Kafka, Redis and Triton of the settings: before anything is started that needs them, for `config check` and for `doctor`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from enum import StrEnum

from stream.aio.service_monitor import Check, Reporter, ServiceMonitor, WrongServiceError
from stream.config.service_settings import KafkaSettings, RedisSettings, TritonSettings
from stream.config.settings import Settings
from stream.domain.service_problem import ServiceProblem
from stream.kafka_admin.access import access_problems
from stream.kafka_admin.errors import BrokerError, WrongBrokerError
from stream.kafka_admin.handshake import broker_problem
from stream.local.errors import LocalStackError
from stream.serving.client import TritonClient
from stream.serving.diagnosis import digest_note, triton_problem
from stream.serving.errors import ServingError
from stream.sinks.connection import RedisConnection
from stream.sinks.examine import RedisHealth, examine
from stream.sinks.problems import RedisProblem, Remedy

LONGEST_S = 9.0
"""Longest look at one service. A healthy one is looked at within a fraction of a second; several that hang are looked at together."""
REDIS_TIMEOUT_S = 3.0
TRITON_TIMEOUT_S = 3.0


class Service(StrEnum):
    """A service that the settings name."""

    KAFKA = "kafka"
    REDIS = "redis"
    TRITON = "triton"


async def look_at(settings: Settings, services: Iterable[Service], *, writes: bool = True) -> dict[Service, list[ServiceProblem]]:
    """Look at several services at the same time, and return the problems of each, the most serious first.

    Args:
        settings: Where they are.
        services: Which of them to look at.
        writes: Whether results are to be written to Redis, and topics used as a worker uses them. A reader needs less.
    """
    looks: dict[Service, Callable[[], Awaitable[list[ServiceProblem]]]] = {
        Service.KAFKA: lambda: _look_at_kafka(settings.kafka, topics_too=writes),
        Service.REDIS: lambda: _look_at_redis(settings.redis, writes=writes),
        Service.TRITON: lambda: _look_at_triton(settings.triton),
    }
    names = list(services)
    found = await asyncio.gather(*(_bounded(name, looks[name]) for name in names))
    return {name: sorted(problems, key=lambda problem: not problem.serious) for name, problems in zip(names, found, strict=True)}


async def require_services(settings: Settings, services: Iterable[Service], *, writes: bool = True) -> None:
    """Check that services can be used; see `look_at` for the arguments.

    Raises:
        LocalStackError: With one sentence about the first service that does not answer.
        WrongServiceError: The same, and waiting cannot help.
    """
    for problems in (await look_at(settings, services, writes=writes)).values():
        if problems and problems[0].serious:
            raise (WrongServiceError if problems[0].lasting else LocalStackError)(problems[0].text)


@asynccontextmanager
async def watched(settings: Settings, services: Iterable[Service], reporter: Reporter) -> AsyncIterator[None]:
    """Report it while the block runs if Redis or Triton cannot be used. Kafka's clients say it themselves."""
    async with AsyncExitStack() as stack:
        checks: dict[str, Check] = {}
        if Service.REDIS in (wanted := frozenset(services)):
            connection = RedisConnection(settings.redis, logs=False)
            stack.push_async_callback(connection.close)
            checks[Service.REDIS] = RedisHealth(connection).problem
        if Service.TRITON in wanted:
            client = TritonClient(settings.triton.url, TRITON_TIMEOUT_S)
            stack.push_async_callback(client.close)
            checks[Service.TRITON] = lambda: triton_problem(settings.triton, client, models_too=False)
        watching = asyncio.ensure_future(ServiceMonitor(checks, reporter).run()) if checks else None
        try:
            yield
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.wait({watching})


async def _bounded(service: Service, look: Callable[[], Awaitable[list[ServiceProblem]]]) -> list[ServiceProblem]:
    try:
        async with asyncio.timeout(LONGEST_S):
            return await look()
    except TimeoutError:
        text = f"{service.capitalize()} does not answer within {LONGEST_S:g} s; see its log, or correct its address"
        return [ServiceProblem("no_answer", text, lasting=False)]


async def _look_at_kafka(kafka: KafkaSettings, *, topics_too: bool) -> list[ServiceProblem]:
    problem = await asyncio.to_thread(broker_problem, kafka)
    found = [] if problem is None else [problem]
    if topics_too and not (problem and problem.serious):
        try:
            found += await asyncio.to_thread(access_problems, kafka)
        except BrokerError as error:
            found.append(ServiceProblem("refused_request", str(error), lasting=isinstance(error, WrongBrokerError)))
    return found


async def _look_at_redis(redis: RedisSettings, *, writes: bool) -> list[ServiceProblem]:
    limited = redis.model_copy(update={"timeout_s": min(redis.timeout_s, REDIS_TIMEOUT_S)})
    found = await examine(limited, writes=writes)
    if found.problem is None:
        return list(found.risks)
    problem = found.problem.as_problem(found.address, lasting=found.problem.problem.remedy is Remedy.SETTING)
    if found.problem.problem is RedisProblem.AWAY:
        # The words of the other services.
        problem = replace(problem, text=f"Redis does not answer at {found.address}; start it, or correct --redis or redis.url")
    return [problem, *found.risks]


async def _look_at_triton(triton: TritonSettings) -> list[ServiceProblem]:
    client = TritonClient(triton.url, TRITON_TIMEOUT_S)
    try:
        found = await triton_problem(triton, client) or await digest_note(triton, client)
    except ServingError as error:
        found = ServiceProblem("no_answer", f"Triton at {triton.url} stopped answering ({error}); try again", lasting=False)
    finally:
        await client.close()
    return [] if found is None else [found]
