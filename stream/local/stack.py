"""The embedded stack: Kafka broker, Redis and Triton from wheels, started together, supervised, stopped together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from stream.config.settings import Settings
from stream.local.broker import Broker
from stream.local.environment import settings_environment
from stream.local.errors import LocalStackError
from stream.local.events import Change, OnEvent, StackEvent, ignore
from stream.local.parts import WatchedBroker, WatchedRedis, WatchedTriton
from stream.local.redis_server import RedisServer
from stream.local.supervisor import Part, Supervisor
from stream.local.triton import TritonPorts, TritonServer
from stream.local.triton_files import fetch_server
from stream.serving.errors import ModelRepositoryError
from stream.serving.repository import assemble_text_encoder


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the services are; Triton's HTTP and metrics addresses are known only when it is ours."""

    kafka: str
    redis_url: SecretStr
    triton_grpc: str
    triton_http: str | None = None
    triton_metrics: str | None = None


@dataclass(frozen=True, slots=True)
class StackPorts:
    """Ports on loopback for the parts that are ours; 0 = any free one."""

    kafka: int = 0
    redis: int = 0
    triton: TritonPorts = field(default_factory=TritonPorts)


class Stack:
    """Async context manager: inside it, the services run.

    Args:
        settings: The effective settings; services that are not ours are taken from them.
        run_directory: For logs and data; made if needed, and left when the stack stops.
        own_broker: Start a Kafka broker.
        own_redis: Start a Redis.
        own_triton: Start a Triton on ``settings.triton.model_repository``.
        on_event: Told of every change, from the event loop.
        ports: Where our parts listen.

    Entering raises `LocalStackError` with one sentence, when everything already started is stopped again. Enter it from the main thread's
    event loop: Linux kills the parts when the thread that started them ends.
    """

    def __init__(
        self,
        settings: Settings,
        run_directory: Path,
        *,
        own_broker: bool = True,
        own_redis: bool = True,
        own_triton: bool = True,
        on_event: OnEvent = ignore,
        ports: StackPorts | None = None,
    ) -> None:
        self._wanted = settings
        self.run_directory = run_directory
        self._own = (own_broker, own_redis, own_triton)
        self._on_event = on_event
        self._ports = ports or StackPorts()
        self._stops: list[Callable[[], Awaitable[None]]] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._failure: asyncio.Future[LocalStackError] | None = None
        self.broker: Broker | None = None
        self.redis: RedisServer | None = None
        self.triton: TritonServer | None = None
        self.supervisors: dict[str, Supervisor] = {}

    @property
    def endpoints(self) -> Endpoints:
        """Where the services are."""
        return Endpoints(
            kafka=self.broker.bootstrap if self.broker else self._wanted.kafka.bootstrap,
            redis_url=SecretStr(self.redis.url) if self.redis else self._wanted.redis.url,
            triton_grpc=self.triton.grpc_url if self.triton else self._wanted.triton.url,
            triton_http=self.triton.http_url if self.triton else None,
            triton_metrics=self.triton.metrics_url if self.triton else None,
        )

    @property
    def settings(self) -> Settings:
        """The settings with these endpoints filled in."""
        at = self.endpoints
        own = self._wanted
        broker: dict[str, str | None] = {"bootstrap": at.kafka}
        if self.broker:
            broker |= {"security": "plaintext", "username": None, "password": None, "ca_file": None}
        return own.model_copy(
            update={
                "kafka": own.kafka.model_copy(update=broker),
                "redis": own.redis.model_copy(update={"url": at.redis_url}),
                "triton": own.triton.model_copy(update={"url": at.triton_grpc}),
            }
        )

    def environment(self) -> dict[str, str]:
        """``SENTISTREAM_*`` variables that give a child process these settings."""
        return settings_environment(self.settings)

    async def failed(self) -> LocalStackError:
        """Wait until a part is lost for good; why."""
        if self._failure is None:
            raise RuntimeError("the stack was not entered")
        return await asyncio.shield(self._failure)

    async def __aenter__(self) -> Self:
        self._failure = asyncio.get_running_loop().create_future()
        try:
            self._make_directory()
            await self._start_all()
            self._watch_all()
        except BaseException as error:
            await self._stop()
            if isinstance(error, BaseExceptionGroup):
                raise _first(error) from None
            raise
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self._stop()

    def _make_directory(self) -> None:
        try:
            self.run_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise LocalStackError(f"the run directory {self.run_directory} cannot be made: {error.strerror}") from None

    async def _start_all(self) -> None:
        broker, redis, triton = self._own
        async with asyncio.TaskGroup() as tasks:
            if broker:
                tasks.create_task(self._start_broker())
            if redis:
                tasks.create_task(self._start_redis())
            if triton:
                tasks.create_task(self._start_triton())

    async def _start_broker(self) -> None:
        self.broker = Broker(self.run_directory, self._ports.kafka)
        await self._start("kafka", self.broker.start, self.broker.stop, self.broker.bootstrap)

    async def _start_redis(self) -> None:
        self.redis = RedisServer(self.run_directory, self._ports.redis)
        await self._start("redis", self.redis.start, self.redis.stop, self.redis.url)

    async def _start_triton(self) -> None:
        triton = self._wanted.triton
        try:
            await asyncio.to_thread(assemble_text_encoder, triton.model_repository, triton.text_model)
        except ModelRepositoryError as error:
            raise LocalStackError(str(error)) from None
        await fetch_server(self._on_event)
        self.triton = TritonServer(triton.model_repository, self.run_directory, self._ports.triton)
        await self._start("triton", self.triton.start, self.triton.stop, self.triton.grpc_url)

    async def _start(self, part: str, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]], address: str) -> None:
        began = time.monotonic()
        self._on_event(StackEvent(part, Change.STARTING))
        self._stops.append(lambda: self._stop_part(part, stop))
        await start()
        self._on_event(StackEvent(part, Change.READY, address, time.monotonic() - began))

    def _watch_all(self) -> None:
        if self.broker:
            self._watch("kafka", WatchedBroker(self.broker))
        if self.redis:
            self._watch("redis", WatchedRedis(self.redis))
        if self.triton:
            watched = WatchedTriton(self.triton)
            self._stops.append(watched.close)
            self._watch("triton", watched)

    def _watch(self, name: str, part: Part) -> None:
        supervisor = Supervisor(name, part, self._on_event)
        self.supervisors[name] = supervisor
        self._watchers.append(asyncio.create_task(self._watch_until_lost(supervisor), name=f"watch-{name}"))

    async def _watch_until_lost(self, supervisor: Supervisor) -> None:
        try:
            await supervisor.run()
        except LocalStackError as error:
            if self._failure is not None and not self._failure.done():
                self._failure.set_result(error)

    async def _stop(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._watchers.clear()
        stops, self._stops = self._stops, []
        await asyncio.gather(*(stop() for stop in stops))

    async def _stop_part(self, part: str, stop: Callable[[], Awaitable[None]]) -> None:
        await stop()
        self._on_event(StackEvent(part, Change.STOPPED))


def _first(error: BaseException) -> BaseException:
    """The first single error in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
