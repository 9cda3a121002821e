"""Starts the services and workers of a demo run, as far as possible at the same time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from stream.cli.errors import CommandError
from stream.cli.steps import StepReporter
from stream.config.settings import Settings
from stream.kafka_admin.topics import ensure_topics
from stream.local.gateway import LocalGateway, gateway_is_installed
from stream.local.ports import LOOPBACK, choose_port
from stream.local.reachable import Service, watched
from stream.local.stack import Stack, StackPorts
from stream.local.triton import TritonPorts
from stream.local.triton_files import fetch_server, server_is_present
from stream.local.worker import Workers

EMBEDDED_SESSION_TIMEOUT_S = 4.0
"""Short, because the embedded broker lets the first member of a consumer group wait for half of it, and the user waits as well."""


class DemoServices:
    """An async context manager in which the services and workers run and media may be sent.

    Args:
        settings: The effective settings; they have the addresses of external services.
        external: Names of the services that are not embedded: ``kafka``, ``redis``, ``triton``.
        workers: Number of workers.
        directory: For logs and data.
        steps: Shows each step and each event of a service.
    """

    def __init__(self, settings: Settings, external: frozenset[str], workers: int, directory: Path, steps: StepReporter) -> None:
        self.settings = settings
        """The settings, with the addresses of embedded services once they are started."""
        self._external = external
        self._worker_count = workers
        self._directory = directory
        self._steps = steps
        self._started = AsyncExitStack()
        self._stacks: list[Stack] = []
        self._workers: Workers | None = None
        self.page: LocalGateway | None = None
        """The live page; None if its libraries are not installed."""

    async def __aenter__(self) -> Self:
        external = sorted(map(Service, self._external))
        try:
            await self._started.enter_async_context(watched(self.settings, external, self._steps))
            if Service.TRITON not in external and not server_is_present():
                with self._steps.step("fetching the embedded Triton", "the embedded Triton is here"):
                    await fetch_server(self._steps.on_event)
            with self._steps.step("starting services and workers", "ready for media"):
                await self._start()
        except BaseException:
            await self._started.aclose()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._steps.step("stopping everything", "everything is stopped"):
            await self._started.aclose()

    async def wait_for_failure(self) -> NoReturn:
        """Wait until a service or a worker is lost for good, and raise the reason."""
        if self._workers is None:
            raise RuntimeError("the services were not started")
        services = [asyncio.ensure_future(stack.wait_for_failure()) for stack in self._stacks]
        workers = asyncio.ensure_future(self._workers.wait_for_failure())
        try:
            await asyncio.wait((workers, *services), return_when=asyncio.FIRST_COMPLETED)
            # Services first: a worker may have ended because of the service.
            for service in services:
                if service.done():
                    raise service.result()
            raise CommandError(workers.result())
        finally:
            for task in (workers, *services):
                task.cancel()

    async def _start(self) -> None:
        """Start everything, in this order.

        1. Kafka and Redis: a worker does not start without them.
        2. The topics.
        3. Triton, the workers and the live page at the same time. A worker joins its group, for which it does not need Triton, and then
           waits for it. Triton's port is chosen before, because the workers' settings name it.
        """
        # 1.
        settings = self.settings
        embed_kafka, embed_redis, embed_triton = (name not in self._external for name in ("kafka", "redis", "triton"))
        if embed_kafka:
            timeout_s = min(settings.kafka.session_timeout_s, EMBEDDED_SESSION_TIMEOUT_S)
            settings = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"session_timeout_s": timeout_s})})
        stores = self._stack(settings, kafka=embed_kafka, redis=embed_redis)
        await self._started.enter_async_context(stores)
        settings = stores.settings
        # 2.
        await asyncio.to_thread(ensure_topics, settings.kafka)
        # 3.
        port = 0
        if embed_triton:
            port = choose_port(0, "Triton")
            settings = settings.model_copy(update={"triton": settings.triton.model_copy(update={"url": f"{LOOPBACK}:{port}"})})
        self.settings = settings
        inference = self._stack(settings, triton=embed_triton, ports=StackPorts(triton=TritonPorts(grpc=port)))
        self._workers = Workers(settings, self._directory, self._worker_count, self._steps.on_event)
        if gateway_is_installed():
            self.page = LocalGateway(settings, self._directory, on_event=self._steps.on_event)
        async with asyncio.TaskGroup() as tasks:
            for part in (inference, self._workers, self.page):
                if part is not None:
                    tasks.create_task(self._started.enter_async_context(part))

    def _stack(
        self, settings: Settings, *, kafka: bool = False, redis: bool = False, triton: bool = False, ports: StackPorts | None = None
    ) -> Stack:
        stack = Stack(
            settings,
            self._directory,
            embed_kafka=kafka,
            embed_redis=redis,
            embed_triton=triton,
            on_event=self._steps.on_event,
            ports=ports,
        )
        self._stacks.append(stack)
        return stack
