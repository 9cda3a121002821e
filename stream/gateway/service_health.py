"""Whether Kafka, Redis and Triton can be used, as the gateway sees them: asked at most once a second, and never for longer than two."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from stream.aio.service_monitor import OngoingProblem, ServiceMonitor
from stream.config.settings import Settings
from stream.domain.service_problem import ServiceProblem
from stream.kafka_admin.handshake import broker_problem
from stream.serving.client import TritonClient
from stream.serving.diagnosis import triton_problem
from stream.sinks.connection import RedisConnection
from stream.sinks.examine import RedisHealth

SERVICES = ("kafka", "redis", "triton")


class ServiceChecks:
    """Checks the services of the settings when somebody asks.

    Args:
        settings: Where they are.
        redis: The gateway's connection.
    """

    def __init__(self, settings: Settings, redis: RedisConnection) -> None:
        self._settings = settings
        self._triton = TritonClient(settings.triton.url, settings.triton.timeout_s)
        self._monitor = ServiceMonitor({"kafka": self._kafka, "redis": RedisHealth(redis).problem, "triton": self._models})

    async def problems(self) -> Mapping[str, OngoingProblem]:
        """What is wrong now, by service."""
        return await self._monitor.check()

    async def close(self) -> None:
        """Close its connections."""
        await self._triton.close()

    async def _kafka(self) -> ServiceProblem | None:
        return await asyncio.to_thread(broker_problem, self._settings.kafka)

    async def _models(self) -> ServiceProblem | None:
        return await triton_problem(self._settings.triton, self._triton)
