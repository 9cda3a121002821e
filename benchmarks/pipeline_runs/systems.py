"""Starts the broker, Redis and Triton, runs one system at a time under a load, and measures it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.pipeline_runs import meter
from benchmarks.pipeline_runs.broker import RecordCounter, wait_for_group
from benchmarks.pipeline_runs.parts import OTHERS, part_of_child
from benchmarks.pipeline_runs.raw_media import KINDS, write_clip
from stream.config.settings import Settings
from stream.config.worker_settings import HealthSettings
from stream.domain.topics import Topics
from stream.kafka_admin.topics import ensure_topics
from stream.local.environment import child_environment
from stream.local.ports import LOOPBACK, free_port
from stream.local.process import ManagedProcess
from stream.local.redis_server import RedisServer
from stream.local.triton import TritonServer
from stream.local.worker import Workers
from stream.model_repository.repository import build_encoders
from stream.serving.client import TritonClient
from tests.support.kafka import ApacheKafka

PARTITIONS = 3
OURS = "sentistream"
PEERS = ("plain_faust", "quixstreams")
READING = "reading_alone"
FLOOR = "floor"
MODULES = {
    "plain_faust": "benchmarks.pipeline_runs.faust_peer",
    "quixstreams": "benchmarks.pipeline_runs.quix_peer",
    READING: "benchmarks.pipeline_runs.reading",
    FLOOR: "benchmarks.pipeline_runs.floor",
}
USING_TRITON = (OURS, FLOOR)
WARM_UP_S = 9
"""Time between the start of the load and the measurement. The first windows are final after 5 s."""

LOAD_MARGIN_S = 4
"""The load runs this much longer than the measurement, so that it never ends first."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is run.

    Attributes:
        system: ``sentistream``, a peer or a floor.
        kind: ``encoded``, or a kind of raw media (`raw_media.KINDS`).
        sessions: Number of live sessions.
        seconds: Duration of the measurement.
        partials: Whether open windows have partial results, as they do by default.
        workers: Number of workers of sentistream.
        batch: Windows that the floor puts into one request.
    """

    system: str
    kind: str
    sessions: int
    seconds: int
    partials: bool = False
    workers: int = 1
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """Measurements of a system under load.

    Attributes:
        job: What was run.
        took_s: Time that the measurement took.
        windows: Number of windows that became final.
        expected: Number of windows that became due.
        lost: Number of chunks that were refused or came too late for their windows.
        cpu_s: CPU seconds of each part (`parts`), of the broker and of the load.
        resident_mb: Resident memory (MiB) of each.
        batch: Mean number of windows in one execution of the model.
        timings: The timings that the worker reports, by step; empty for a peer. Of several workers, those of the first.
    """

    job: Job
    took_s: float
    windows: int
    expected: float
    lost: int
    cpu_s: Mapping[str, float]
    resident_mb: Mapping[str, float]
    batch: float
    timings: Mapping[str, Mapping[str, float]]

    @property
    def own_cpu_s(self) -> Mapping[str, float]:
        """CPU seconds of the system's own parts: all but the broker and the load."""
        return {name: cpu_s for name, cpu_s in self.cpu_s.items() if name not in OTHERS}

    @property
    def cpu_s_per_window(self) -> float:
        """CPU seconds of the system per final window. For a system that makes no windows: per window that became due."""
        return sum(self.own_cpu_s.values()) / (self.windows or self.expected)

    @property
    def cpu_ms_per_session_second(self) -> dict[str, float]:
        """CPU milliseconds of each part, of the broker and of the load, for each second of a session."""
        session_seconds = self.took_s * self.job.sessions
        return {name: cpu_s * 1000 / session_seconds for name, cpu_s in self.cpu_s.items()}

    @property
    def kept_up(self) -> bool:
        """Whether (nearly) all windows that became due were final, and (nearly) no chunk was lost."""
        # A measurement begins and ends between two windows of a session: of 13 s, these are up to a thirteenth of the windows.
        return self.windows >= 0.93 * self.expected and self.lost <= 0.01 * self.expected


class Bench:
    """Runs systems on shared services. Use `open_bench` to create it."""

    def __init__(self, directory: Path, kafka: ApacheKafka, redis: RedisServer, triton: TritonServer) -> None:
        self._directory = directory
        self._kafka = kafka
        self._redis = redis
        self._triton = triton
        self._runs = 0

    async def run(self, job: Job) -> Run:
        """Run a system under load and measure it."""
        self._runs += 1
        settings = self._settings(f"run{self._runs}.", partials=job.partials)
        await asyncio.to_thread(ensure_topics, settings.kafka)
        folder = self._directory / f"run{self._runs}"
        folder.mkdir()
        async with contextlib.AsyncExitStack() as stack:
            parts = {"redis": [self._redis.process.pid], "broker": [self._kafka.process.pid]}
            if job.system in MODULES:
                parts["worker"] = [await stack.enter_async_context(self._peer(job, settings, folder))]
            else:
                workers = await stack.enter_async_context(Workers(settings, folder, job.workers))
                parts["worker"] = [process.pid for process in workers.processes]
            if job.system in USING_TRITON:
                parts["triton"] = [self._triton.process.pid]
            load = await self._load(settings, job, folder)
            stack.push_async_callback(load.stop)
            load.spawn()
            await asyncio.sleep(WARM_UP_S)
            return await self._measure(settings, job, parts | {"load": [load.pid]})

    async def _measure(self, settings: Settings, job: Job, parts: Mapping[str, Sequence[int]]) -> Run:
        topics, bootstrap = Topics(settings.kafka.topic_prefix), self._kafka.bootstrap
        async with contextlib.AsyncExitStack() as stack:
            client = TritonClient(self._triton.grpc_url, 5.0)
            stack.push_async_callback(client.close)
            scores = stack.enter_context(RecordCounter(bootstrap, topics.scores))
            losses = stack.enter_context(RecordCounter(bootstrap, topics.dead_letters, topics.late))
            # The first question to the broker takes half a second: it must not shorten the time in which windows are counted.
            lost_before, _ = losses.total(), scores.total()
            began, usage_before, finals_before = time.monotonic(), meter.read(parts, part_of_child), scores.total()
            inferences_before, executions_before = await client.counts("mmci")
            await asyncio.sleep(job.seconds)
            took_s, usage, finals = time.monotonic() - began, meter.read(parts, part_of_child), scores.total()
            inferences, executions = await client.counts("mmci")
            lost = losses.total() - lost_before
        new_executions = executions - executions_before
        return Run(
            job=job,
            took_s=took_s,
            windows=finals - finals_before,
            expected=took_s * job.sessions / (settings.windows.hop_ms / 1000),
            lost=lost,
            cpu_s={name: cpu_s - usage_before.cpu_s.get(name, 0.0) for name, cpu_s in usage.cpu_s.items()},
            resident_mb=usage.resident_mb,
            batch=(inferences - inferences_before) / new_executions if new_executions else 1.0,
            timings=await asyncio.to_thread(_timings, settings) if job.system == OURS else {},
        )

    def _settings(self, prefix: str, *, partials: bool) -> Settings:
        default = Settings()
        windows = default.windows if partials else default.windows.model_copy(update={"partial_every_ms": 0})
        kafka = {"bootstrap": self._kafka.bootstrap, "topic_prefix": prefix, "group": prefix, "partitions": PARTITIONS}
        return default.model_copy(
            update={
                "kafka": default.kafka.model_copy(update=kafka),
                "redis": default.redis.model_copy(update={"url": SecretStr(self._redis.url)}),
                "triton": default.triton.model_copy(update={"url": self._triton.grpc_url}),
                "windows": windows,
                "limits": default.limits.model_copy(update={"sessions": 5000, "chunks_held": 200_000}),
                "health": HealthSettings(port=free_port()),
            }
        )

    @contextlib.asynccontextmanager
    async def _peer(self, job: Job, settings: Settings, folder: Path) -> AsyncIterator[int]:
        system = job.system
        command = [
            *(sys.executable, "-m", MODULES[system], self._kafka.bootstrap, settings.kafka.topic_prefix),
            *(self._redis.url, str(folder), *([str(job.batch)] if system == FLOOR else [])),
        ]
        environment = {**child_environment(settings), "OMP_NUM_THREADS": "1"}
        process = ManagedProcess(system, command, folder / f"{system}.log", environment)
        process.spawn()
        try:
            await asyncio.to_thread(wait_for_group, self._kafka.bootstrap, settings.kafka.group)
            yield process.pid
        finally:
            await process.stop()

    async def _load(self, settings: Settings, job: Job, folder: Path) -> ManagedProcess:
        media = str(await asyncio.to_thread(write_clip, job.kind, self._directory)) if job.kind in KINDS else job.kind
        command = [
            *(sys.executable, "-m", "benchmarks.pipeline_runs.load", self._kafka.bootstrap, settings.kafka.topic_prefix),
            *(media, str(job.sessions), str(WARM_UP_S + job.seconds + LOAD_MARGIN_S)),
        ]
        return ManagedProcess("load", command, folder / "load.log")


def _timings(settings: Settings) -> dict[str, Any]:
    """Those of the worker; none, if it is too busy to answer."""
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://{LOOPBACK}:{settings.health.port}/timings", timeout=10) as answer,
    ):
        timings: dict[str, Any] = json.load(answer)
        return timings
    return {}


@contextlib.asynccontextmanager
async def open_bench(directory: Path) -> AsyncIterator[Bench]:
    """Start the services, and stop them afterwards."""
    repository = Settings().triton.model_repository
    await asyncio.to_thread(build_encoders, repository)
    kafka, redis, triton = ApacheKafka(directory / "kafka"), RedisServer(directory), TritonServer(repository, directory)
    async with contextlib.AsyncExitStack() as stack:
        for service in (kafka, redis, triton):
            stack.push_async_callback(service.stop)
        await asyncio.gather(kafka.start(), redis.start(), triton.start())
        yield Bench(directory, kafka, redis, triton)
