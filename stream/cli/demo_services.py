"""What a demo run needs besides media: broker, Redis, Triton and workers, started as far as possible side by side."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from stream.cli.errors import CommandError
from stream.cli.progress import Progress
from stream.config.settings import Settings
from stream.local.ports import LOOPBACK, choose_port
from stream.local.reachable import require_services
from stream.local.stack import Stack, StackPorts
from stream.local.triton import TritonPorts
from stream.local.triton_files import fetch_server, server_is_present
from stream.local.worker import Workers
from stream.produce.topics import ensure_topics

SERVICES = ("kafka", "redis", "triton")
EMBEDDED_SESSION_TIMEOUT_S = 4.0
"""The embedded broker lets a consumer group's first member wait for half of the session timeout."""


@dataclass(frozen=True, slots=True)
class _Given:
    kafka: bool
    redis: bool
    triton: bool


class DemoServices:
    """Async context manager: inside it, services and workers run and media may be sent.

    Triton and the workers start at the same time: a worker has enough to do until it needs Triton, and then waits for it.

    Args:
        settings: The effective settings; services that are not ours are taken from them.
        given: Names of those, of `SERVICES`.
        workers: How many.
        directory: For logs and data.
        progress: Told of every part.
    """

    def __init__(self, settings: Settings, given: frozenset[str], workers: int, directory: Path, progress: Progress) -> None:
        self.settings = settings
        self._given = _Given(*(name in given for name in SERVICES))
        self._count = workers
        self._directory = directory
        self._progress = progress
        self._parts = AsyncExitStack()
        self._stacks: list[Stack] = []
        self._workers: Workers | None = None

    async def __aenter__(self) -> Self:
        given = self._given
        await require_services(self.settings, kafka=given.kafka, redis=given.redis, triton=given.triton)
        try:
            if not given.triton and not server_is_present():
                with self._progress.step("fetching the embedded Triton", "the embedded Triton is here"):
                    await fetch_server(self._progress.tell)
            with self._progress.step("starting services and workers", "ready for media"):
                await self._start()
        except BaseException:
            await self._parts.aclose()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._progress.step("stopping everything", "everything is stopped"):
            await self._parts.aclose()

    async def failed(self) -> NoReturn:
        """Wait until a part or a worker is lost for good, and raise why."""
        if self._workers is None:
            raise RuntimeError("the services were not started")
        lost = [asyncio.ensure_future(stack.failed()) for stack in self._stacks]
        dead = asyncio.ensure_future(self._workers.failed())
        try:
            await asyncio.wait((dead, *lost), return_when=asyncio.FIRST_COMPLETED)
            for part in lost:
                if part.done():
                    raise part.result()
            raise CommandError(dead.result())
        finally:
            for waiting in (dead, *lost):
                waiting.cancel()

    async def _start(self) -> None:
        settings = self.settings
        if not self._given.kafka:
            timeout_s = min(settings.kafka.session_timeout_s, EMBEDDED_SESSION_TIMEOUT_S)
            settings = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"session_timeout_s": timeout_s})})
        first = self._stack(settings, broker=not self._given.kafka, redis=not self._given.redis)
        await self._parts.enter_async_context(first)
        settings = first.settings
        await asyncio.to_thread(ensure_topics, settings.kafka)
        port = 0
        if not self._given.triton:
            port = choose_port(0, "Triton")
            settings = settings.model_copy(update={"triton": settings.triton.model_copy(update={"url": f"{LOOPBACK}:{port}"})})
        self.settings = settings
        second = self._stack(settings, triton=not self._given.triton, ports=StackPorts(triton=TritonPorts(grpc=port)))
        self._workers = Workers(settings, self._directory, self._count, self._progress.tell)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._parts.enter_async_context(second))
            tasks.create_task(self._parts.enter_async_context(self._workers))

    def _stack(
        self, settings: Settings, *, broker: bool = False, redis: bool = False, triton: bool = False, ports: StackPorts | None = None
    ) -> Stack:
        stack = Stack(
            settings,
            self._directory,
            own_broker=broker,
            own_redis=redis,
            own_triton=triton,
            on_event=self._progress.tell,
            ports=ports,
        )
        self._stacks.append(stack)
        return stack
