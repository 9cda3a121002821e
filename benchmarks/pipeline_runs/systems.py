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
from benchmarks.pipeline_runs.broker import TopicReader, wait_for_group
from benchmarks.pipeline_runs.parts import OTHERS, part_of_child
from benchmarks.pipeline_runs.raw_media import KINDS, write_clip
from benchmarks.pipeline_runs.schedule import Traffic
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
WARM_UP_S = 7
"""Time between the beginning of the first session and the measurement. The first windows are final after 5 s."""

PATIENCE_S = 2
"""Windows that are due within the measurement may become final until so long after it."""

LOAD_MARGIN_S = 3
"""The load runs this much longer than that, so that it never ends first."""

LOAD_STARTS_S = 60.0


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
        windows: Number of windows that became final meanwhile.
        due: Number of windows that became due meanwhile.
        missing: How many of these did not come.
        lost: Number of chunks that were refused or came too late for their windows.
        cpu_s: CPU seconds of each part (`parts`), of the broker and of the load.
        resident_mb: Resident memory (MiB) of each.
        batch: Mean number of windows in one execution of the model.
        timings: The timings that the worker reports of what it did meanwhile, by step; empty for a peer. Of several workers, those of the
            first.
    """

    job: Job
    took_s: float
    windows: int
    due: int
    missing: int
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
        return sum(self.own_cpu_s.values()) / (self.windows or self.due)

    @property
    def cpu_ms_per_session_second(self) -> dict[str, float]:
        """CPU milliseconds of each part, of the broker and of the load, for each second of a session."""
        session_seconds = self.took_s * self.job.sessions
        return {name: cpu_s * 1000 / session_seconds for name, cpu_s in self.cpu_s.items()}

    @property
    def kept_up(self) -> bool:
        """Whether every window that was due came, with all its chunks."""
        return self.missing == 0 and self.lost == 0


@dataclass(frozen=True, slots=True)
class System:
    """A system that runs, with the processes of each part."""

    settings: Settings
    folder: Path
    pids: Mapping[str, Sequence[int]]

    @property
    def prefix(self) -> str:
        """That of its topics."""
        return self.settings.kafka.topic_prefix

    @property
    def topics(self) -> Topics:
        """Its topics."""
        return Topics(self.prefix)


class Bench:
    """Runs systems on shared services. Use `open_bench` to create it."""

    def __init__(self, directory: Path, kafka: ApacheKafka, redis: RedisServer, triton: TritonServer) -> None:
        self._directory = directory
        self._kafka = kafka
        self._redis = redis
        self._triton = triton
        self._runs = 0

    @property
    def bootstrap(self) -> str:
        """The broker."""
        return self._kafka.bootstrap

    async def run(self, job: Job) -> Run:
        """Run a system under load and measure it."""
        seconds = WARM_UP_S + job.seconds + PATIENCE_S + LOAD_MARGIN_S
        async with self.started(job) as system, self.load(system, job.kind, range(job.sessions), seconds) as (traffic, pid):
            await sleep_until(traffic.began_s + WARM_UP_S)
            return await self._measure(system, job, traffic, {**system.pids, "load": [pid]})

    @contextlib.asynccontextmanager
    async def started(self, job: Job) -> AsyncIterator[System]:
        """Start the system of a job, without a load."""
        self._runs += 1
        settings = self._settings(f"run{self._runs}.", partials=job.partials)
        await asyncio.to_thread(ensure_topics, settings.kafka)
        folder = self._directory / f"run{self._runs}"
        folder.mkdir()
        async with contextlib.AsyncExitStack() as stack:
            pids = {"redis": [self._redis.process.pid], "broker": [self._kafka.process.pid]}
            if job.system in MODULES:
                pids["worker"] = [await stack.enter_async_context(self._peer(job, settings, folder))]
            else:
                workers = await stack.enter_async_context(Workers(settings, folder, job.workers))
                pids["worker"] = [process.pid for process in workers.processes]
            if job.system in USING_TRITON:
                pids["triton"] = [self._triton.process.pid]
            yield System(settings, folder, pids)

    @contextlib.asynccontextmanager
    async def load(self, system: System, kind: str, sessions: range, seconds: int) -> AsyncIterator[tuple[Traffic, int]]:
        """Send live sessions to a system. Yields what is sent, once it begins, and the process."""
        media = str(await asyncio.to_thread(write_clip, kind, self._directory)) if kind in KINDS else kind
        command = [
            *(sys.executable, "-m", "benchmarks.pipeline_runs.load", self.bootstrap, system.prefix),
            *(media, str(sessions.start), str(len(sessions)), str(seconds)),
        ]
        log_file = system.folder / f"load-{sessions.start}.log"
        process = ManagedProcess("load", command, log_file)

        def began_lines() -> list[str]:
            return [line for line in log_file.read_text(encoding="utf-8").splitlines(keepends=True) if line.startswith("began ")]

        async def has_begun() -> bool:
            return any(line.endswith("\n") for line in began_lines())

        await process.start(has_begun, LOAD_STARTS_S)
        try:
            began_s = float(began_lines()[0].split()[1])
            yield Traffic(system.prefix, sessions.start, len(sessions), seconds, began_s), process.pid
        finally:
            await process.stop()

    async def _measure(self, system: System, job: Job, traffic: Traffic, pids: Mapping[str, Sequence[int]]) -> Run:
        topics = system.topics
        async with contextlib.AsyncExitStack() as stack:
            client = TritonClient(self._triton.grpc_url, 5.0)
            stack.push_async_callback(client.close)
            scores = stack.enter_context(TopicReader(self.bootstrap, topics.scores))
            losses = stack.enter_context(TopicReader(self.bootstrap, topics.dead_letters, topics.late))
            # The first question to the broker takes half a second: it must not shorten the time in which windows are counted.
            scores.total()
            inferences_before, executions_before = await client.counts("mmci")
            since_s, usage_before, finals_before = time.time(), meter.read(pids, part_of_child), scores.total()
            await asyncio.sleep(job.seconds)
            until_s, usage, windows = time.time(), meter.read(pids, part_of_child), scores.total() - finals_before
            inferences, executions = await client.counts("mmci")
            timings = await asyncio.to_thread(_timings, system.settings, until_s - since_s) if job.system == OURS else {}
            await sleep_until(until_s + PATIENCE_S)
            finals, lost = await asyncio.to_thread(scores.finals), losses.total()
        due = set(traffic.due(since_s, until_s))
        new_executions = executions - executions_before
        return Run(
            job=job,
            took_s=until_s - since_s,
            windows=windows,
            due=len(due),
            missing=len(due - {(final.session, final.end_ms) for final in finals}),
            lost=lost,
            cpu_s={name: cpu_s - usage_before.cpu_s.get(name, 0.0) for name, cpu_s in usage.cpu_s.items()},
            resident_mb=usage.resident_mb,
            batch=(inferences - inferences_before) / new_executions if new_executions else 1.0,
            timings=timings,
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


async def sleep_until(moment_s: float) -> None:
    """Sleep until a moment (Unix s)."""
    await asyncio.sleep(max(0.0, moment_s - time.time()))


def _timings(settings: Settings, newest_s: float) -> dict[str, Any]:
    """Those of the worker in the newest seconds; none, if it is too busy to answer."""
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://{LOOPBACK}:{settings.health.port}/timings?seconds={newest_s:.3f}", timeout=10) as answer,
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
