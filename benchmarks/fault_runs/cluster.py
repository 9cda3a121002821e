"""Broker, Redis, Triton and workers, with a proxy between each worker and each service."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from benchmarks.fault_runs.alerts import RULES
from stream.config.settings import Settings
from stream.local.environment import child_environment
from stream.local.ports import LOOPBACK, free_port
from stream.local.process import ManagedProcess
from stream.local.redis_server import RedisServer
from stream.local.triton import TritonServer
from stream.model_repository.repository import build_encoders
from tests.support.fault_proxy import FaultProxy
from tests.support.kafka import ApacheKafka
from tests.support.model_versions import add_scaled_version, copy_repository, give_encoder

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
PARTITIONS = 3
FACTOR, SHIFT = 0.5, 0.4
"""How version 2 of mmci changes the scores: a window that one version scored in place of the other is seen."""
ENCODER_FACTOR = -1.0
"""How an audio encoder of its own changes what version 2 hears: a window that the other encoder heard is seen."""
FAST_FAILURE_DETECTION = "broker.session.timeout.ms=2000\nbroker.heartbeat.interval.ms=500\n"
"""A killed broker can return only after the controller has noticed its failure. By default that takes 9 s, longer than an outage here."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for one worker, with its own proxies to Kafka and Redis, so that a network fault reaches no other worker."""

    number: int
    kafka: FaultProxy
    redis: FaultProxy


@dataclass(frozen=True, slots=True)
class Services:
    """The services that all runs share."""

    kafka: ApacheKafka
    redis: RedisServer
    triton: TritonServer | None
    slots: tuple[Slot, ...]

    def settings(self, run: str, session_timeout_s: float, idle_after_s: float) -> Settings:
        """Settings for the producer and the oracle, which bypass the proxies. Each run has its own topics and consumer group."""
        plain = Settings()
        kafka = {"bootstrap": self.kafka.bootstrap, "topic_prefix": f"{run}.", "group": run, "partitions": PARTITIONS}
        kafka |= {"session_timeout_s": session_timeout_s, "fetch_max_wait_ms": 50}
        return plain.model_copy(
            update={
                "kafka": plain.kafka.model_copy(update=kafka),
                "windows": plain.windows.model_copy(update={"idle_after_ms": round(idle_after_s * 1000)}),
                "alerts": plain.alerts.model_copy(update={"rules": RULES}),
                "redis": plain.redis.model_copy(update={"url": SecretStr(self.redis.url), "timeout_s": 2.0}),
                "triton": plain.triton if self.triton is None else plain.triton.model_copy(update=self._triton_settings(self.triton)),
            }
        )

    @staticmethod
    def _triton_settings(triton: TritonServer) -> dict[str, object]:
        return {"url": triton.grpc_url, "model_repository": triton.repository}


@contextlib.asynccontextmanager
async def services(directory: Path, slot_count: int, *, triton: bool, own_encoder: bool = False) -> AsyncIterator[Services]:
    """Start everything that the runs share, and stop it afterwards. Triton has a repository of its own, see `_triton`."""
    proxy_ports = [free_port() for _ in range(slot_count)]
    kafka, redis = (
        ApacheKafka(directory / "kafka", extra_properties=FAST_FAILURE_DETECTION, proxy_ports=proxy_ports),
        RedisServer(directory),
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(kafka.stop)
        stack.push_async_callback(redis.stop)
        await asyncio.gather(kafka.start(), redis.start())
        server = await stack.enter_async_context(_triton(directory, own_encoder=own_encoder)) if triton else None
        slots = [
            Slot(
                number,
                await stack.enter_async_context(FaultProxy(kafka.port_behind[proxy_port], proxy_port)),
                await stack.enter_async_context(FaultProxy(redis.port)),
            )
            for number, proxy_port in enumerate(proxy_ports)
        ]
        yield Services(kafka, redis, server, tuple(slots))


@contextlib.asynccontextmanager
async def _triton(directory: Path, *, own_encoder: bool) -> AsyncIterator[TritonServer]:
    """A Triton whose repository has a version 2 of mmci, which gives other scores, perhaps hears otherwise, and is not loaded."""
    packaged = Settings().triton.model_repository
    build_encoders(packaged)
    repository = copy_repository(packaged, directory / "models")
    version = add_scaled_version(repository, FACTOR, shift=SHIFT)
    if own_encoder:
        give_encoder(repository, version, ENCODER_FACTOR)
    server = TritonServer(repository, directory)
    await server.start()
    yield server
    await server.stop()


class WorkerPool:
    """The workers of one run, at most one in each slot. A worker that ends on its own is counted as a crash and started again."""

    def __init__(self, services: Services, settings: Settings, directory: Path) -> None:
        self._services = services
        self._settings = settings
        self._directory = directory
        self._numbers = itertools.count()
        self._watches: dict[int, asyncio.Task[None]] = {}
        self.processes: dict[int, ManagedProcess] = {}
        self.crashes = 0
        self.unclean_stops = 0

    @property
    def occupied_slots(self) -> list[int]:
        """Numbers of the slots that have a worker."""
        return sorted(self.processes)

    @property
    def free_slots(self) -> list[int]:
        """Numbers of the slots without a worker."""
        return [slot.number for slot in self._services.slots if slot.number not in self.processes]

    async def start(self, slot: int) -> None:
        """Start a worker in a free slot and wait until it has partitions."""
        number = next(self._numbers)
        ready = self._directory / f"worker-{number}.ready"
        process = ManagedProcess(
            f"worker-{number}",
            [sys.executable, *self._program(ready)],
            self._directory / f"worker-{number}.log",
            {**child_environment(self._through_proxies(slot)), "TMPDIR": str(self._directory)},
            stop_timeout_s=STOP_TIMEOUT_S,
        )
        self.processes[slot] = process

        async def is_ready() -> bool:
            return ready.exists()

        try:
            await process.start(is_ready, START_TIMEOUT_S)
        except BaseException:
            del self.processes[slot]
            raise
        self._watches[slot] = asyncio.create_task(self._watch(slot, process))

    def _program(self, ready: Path) -> tuple[str, ...]:
        if self._services.triton is None:
            return "-m", "tests.support.delivery_worker", str(ready)
        return "-m", "stream.cli", "worker", "--ready-file", str(ready)

    def _through_proxies(self, number: int) -> Settings:
        slot, settings = self._services.slots[number], self._settings
        kafka = settings.kafka.model_copy(update={"bootstrap": f"{LOOPBACK}:{slot.kafka.port}"})
        redis = settings.redis.model_copy(update={"url": SecretStr(f"redis://{LOOPBACK}:{slot.redis.port}/0")})
        return settings.model_copy(update={"kafka": kafka, "redis": redis})

    async def _watch(self, slot: int, process: ManagedProcess) -> None:
        await process.wait()
        self.crashes += 1
        del self.processes[slot], self._watches[slot]
        await self.start(slot)

    def remove(self, slot: int) -> ManagedProcess:
        """Take a worker out of the pool. Its end no longer counts as a crash."""
        if (watch := self._watches.pop(slot, None)) is not None:
            watch.cancel()
        return self.processes.pop(slot)

    def kill(self, slot: int) -> None:
        """Send SIGKILL."""
        self.remove(slot).kill()

    async def terminate(self, slot: int) -> None:
        """Send SIGTERM and wait until the worker has ended. An exit code other than 0 counts as an unclean stop."""
        process = self.remove(slot)
        await process.stop()
        self.unclean_stops += process.returncode != 0

    def signal(self, slot: int, number: signal.Signals) -> None:
        """Send another signal; the worker stays in the pool."""
        os.kill(self.processes[slot].pid, number)

    async def stop(self) -> None:
        """Stop all workers. A worker that is suspended has to continue first, or it could not act on SIGTERM."""
        for slot in self.occupied_slots:
            self.signal(slot, signal.SIGCONT)
        await asyncio.gather(*(self.terminate(slot) for slot in self.occupied_slots))
