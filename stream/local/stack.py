"""The embedded stack: Kafka, Redis and Triton from wheels, started together, kept alive, stopped together."""

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
from stream.local.events import OnEvent, ServiceState, StackEvent, ignore_event
from stream.local.redis_server import RedisServer
from stream.local.supervisor import HealthCheck, SupervisedService, Supervisor
from stream.local.triton import TritonPorts, TritonServer
from stream.local.triton_files import fetch_server
from stream.local.triton_health import TritonHealth
from stream.model_repository.errors import ModelRepositoryError
from stream.model_repository.repository import build_encoders


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses of the services. Triton's HTTP and metrics addresses are known only if it is embedded."""

    kafka: str
    redis_url: SecretStr
    triton_grpc: str
    triton_http: str | None = None
    triton_metrics: str | None = None


@dataclass(frozen=True, slots=True)
class StackPorts:
    """Ports of the embedded services on loopback; 0 = any free port."""

    kafka: int = 0
    redis: int = 0
    triton: TritonPorts = field(default_factory=TritonPorts)


class Stack:
    """An async context manager in which the services run.

    If a service does not start, entering stops the others again and raises `LocalStackError` with one sentence. Enter it from the main
    thread's event loop: Linux kills the services when the thread that started them ends.

    Args:
        settings: The effective settings; they have the addresses of services that are not embedded.
        run_directory: For logs and data; it is made if needed, and stays when the stack stops.
        embed_kafka: Whether to start a Kafka broker.
        embed_redis: Whether to start a Redis.
        embed_triton: Whether to start a Triton on ``settings.triton.model_repository``.
        on_event: Called with every change, from the event loop.
        ports: Ports of the embedded services.
    """

    def __init__(
        self,
        settings: Settings,
        run_directory: Path,
        *,
        embed_kafka: bool = True,
        embed_redis: bool = True,
        embed_triton: bool = True,
        on_event: OnEvent = ignore_event,
        ports: StackPorts | None = None,
    ) -> None:
        self._settings = settings
        self.run_directory = run_directory
        self._embed = (embed_kafka, embed_redis, embed_triton)
        self._on_event = on_event
        self._ports = ports or StackPorts()
        self._stops: list[Callable[[], Awaitable[None]]] = []
        self._supervising: list[asyncio.Task[None]] = []
        self._failure: asyncio.Future[LocalStackError] | None = None
        self.broker: Broker | None = None
        self.redis: RedisServer | None = None
        self.triton: TritonServer | None = None
        self.supervisors: dict[str, Supervisor] = {}

    @property
    def endpoints(self) -> Endpoints:
        """Addresses of the services."""
        return Endpoints(
            kafka=self.broker.bootstrap if self.broker else self._settings.kafka.bootstrap,
            redis_url=SecretStr(self.redis.url) if self.redis else self._settings.redis.url,
            triton_grpc=self.triton.grpc_url if self.triton else self._settings.triton.url,
            triton_http=self.triton.http_url if self.triton else None,
            triton_metrics=self.triton.metrics_url if self.triton else None,
        )

    @property
    def settings(self) -> Settings:
        """The settings with the addresses of the embedded services. The embedded Kafka has neither encryption nor login."""
        at = self.endpoints
        given = self._settings
        kafka: dict[str, str | bool | None] = {"bootstrap": at.kafka}
        if self.broker:
            kafka |= dict.fromkeys(("username", "password", "ca_file", "cert_file", "key_file", "key_password"))
            kafka |= {"security": "plaintext", "check_hostname": True}
        return given.model_copy(
            update={
                "kafka": given.kafka.model_copy(update=kafka),
                "redis": given.redis.model_copy(update={"url": at.redis_url}),
                "triton": given.triton.model_copy(update={"url": at.triton_grpc}),
            }
        )

    def environment(self) -> dict[str, str]:
        """Return the ``SENTISTREAM_*`` variables that give a child process these settings."""
        return settings_environment(self.settings)

    async def wait_for_failure(self) -> LocalStackError:
        """Wait until a service is lost for good, and return the reason."""
        if self._failure is None:
            raise RuntimeError("the stack was not entered")
        return await asyncio.shield(self._failure)

    async def __aenter__(self) -> Self:
        self._failure = asyncio.get_running_loop().create_future()
        try:
            self._make_directory()
            await self._start_all()
            self._supervise_all()
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
            raise LocalStackError(f"the run directory {self.run_directory} cannot be created: {error.strerror}") from None

    async def _start_all(self) -> None:
        kafka, redis, triton = self._embed
        async with asyncio.TaskGroup() as tasks:
            if kafka:
                tasks.create_task(self._start_kafka())
            if redis:
                tasks.create_task(self._start_redis())
            if triton:
                tasks.create_task(self._start_triton())

    async def _start_kafka(self) -> None:
        self.broker = Broker(self.run_directory, self._ports.kafka)
        await self._start("kafka", self.broker.start, self.broker.stop, self.broker.bootstrap)

    async def _start_redis(self) -> None:
        self.redis = RedisServer(self.run_directory, self._ports.redis)
        await self._start("redis", self.redis.start, self.redis.stop, self.redis.url)

    async def _start_triton(self) -> None:
        triton = self._settings.triton
        try:
            await asyncio.to_thread(build_encoders, triton.model_repository, triton.text_model)
        except ModelRepositoryError as error:
            raise LocalStackError(str(error)) from None
        await fetch_server(self._on_event)
        self.triton = TritonServer(triton.model_repository, self.run_directory, self._ports.triton)
        await self._start("triton", self.triton.start, self.triton.stop, self.triton.grpc_url)

    async def _start(self, name: str, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]], address: str) -> None:
        began = time.monotonic()
        self._on_event(StackEvent(name, ServiceState.STARTING))
        self._stops.append(lambda: self._stop_service(name, stop))
        await start()
        self._on_event(StackEvent(name, ServiceState.READY, address, time.monotonic() - began))

    def _supervise_all(self) -> None:
        if self.broker:
            self._supervise("kafka", self.broker)
        if self.redis:
            self._supervise("redis", self.redis)
        if self.triton:
            health = TritonHealth(self.triton)
            self._stops.append(health.close)
            self._supervise("triton", self.triton, health.failure)

    def _supervise(self, name: str, service: SupervisedService, health_check: HealthCheck | None = None) -> None:
        supervisor = Supervisor(name, service, self._on_event, health_check=health_check)
        self.supervisors[name] = supervisor
        self._supervising.append(asyncio.create_task(self._run_until_lost(supervisor), name=f"supervise-{name}"))

    async def _run_until_lost(self, supervisor: Supervisor) -> None:
        try:
            await supervisor.run()
        except LocalStackError as error:
            if self._failure is not None and not self._failure.done():
                self._failure.set_result(error)

    async def _stop(self) -> None:
        # Supervisors first: they would restart the services that are being stopped.
        for task in self._supervising:
            task.cancel()
        await asyncio.gather(*self._supervising, return_exceptions=True)
        self._supervising.clear()
        stops, self._stops = self._stops, []
        await asyncio.gather(*(stop() for stop in stops))

    async def _stop_service(self, name: str, stop: Callable[[], Awaitable[None]]) -> None:
        await stop()
        self._on_event(StackEvent(name, ServiceState.STOPPED))


def _first(error: BaseException) -> BaseException:
    """Return the first error of a group that is not itself a group: the user gets one sentence."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
