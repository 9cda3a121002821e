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

from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr

from benchmarks.pipeline_runs import meter
from stream.config.settings import HealthSettings, Settings
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
PEERS = ("plain_faust", "quixstreams")
FLOOR = "reading_alone"
MODULES = {
    "plain_faust": "benchmarks.pipeline_runs.faust_peer",
    "quixstreams": "benchmarks.pipeline_runs.quix_peer",
    FLOOR: "benchmarks.pipeline_runs.floor",
}
WARM_UP_S = 9
"""Time between the start of the load and the measurement. The first windows are final after 5 s."""

PEER_START_S = 6
"""Time between the start of a peer and the load: the peers do not report when they are ready."""

LOAD_MARGIN_S = 4
"""The load runs this much longer than the measurement, so that it never ends first."""


@dataclass(frozen=True, slots=True)
class Run:
    """Measurements of a system under load.

    Attributes:
        windows: Number of windows that became final.
        expected: Number of windows that became due.
        cpu_s: CPU seconds of each part of the system: the worker, Redis, and Triton if the system uses it.
        resident_mb: Resident memory (MiB) of each part.
        batch: Mean number of windows in one execution of the model.
        timings: The timings that the worker reports, by step; empty for a peer.
    """

    windows: int
    expected: float
    cpu_s: Mapping[str, float]
    resident_mb: Mapping[str, float]
    batch: float
    timings: Mapping[str, Mapping[str, float]]

    @property
    def cpu_s_per_window(self) -> float:
        """CPU seconds of all parts per final window. For a system that makes no windows: per window that became due."""
        return sum(self.cpu_s.values()) / (self.windows or self.expected)

    @property
    def kept_up(self) -> bool:
        """Whether (nearly) all windows that became due were final."""
        return self.windows >= 0.97 * self.expected


class Bench:
    """Runs systems on shared services. Use `open_bench` to create it."""

    def __init__(self, directory: Path, kafka: ApacheKafka, redis: RedisServer, triton: TritonServer) -> None:
        self._directory = directory
        self._kafka = kafka
        self._redis = redis
        self._triton = triton
        self._runs = 0

    async def run(self, system: str, kind: str, sessions: int, seconds: int) -> Run:
        """Run a system under load and measure it.

        Args:
            system: ``sentistream``, a peer or `FLOOR`.
            kind: ``encoded`` or ``raw`` chunks.
            sessions: Number of live sessions.
            seconds: Duration of the measurement.
        """
        self._runs += 1
        settings = self._settings(f"run{self._runs}.")
        await asyncio.to_thread(ensure_topics, settings.kafka)
        folder = self._directory / f"run{self._runs}"
        folder.mkdir()
        async with contextlib.AsyncExitStack() as stack:
            parts = {"redis": [self._redis.process.pid]}
            if system in MODULES:
                parts["worker"] = [await stack.enter_async_context(self._peer(system, settings, folder))]
            else:
                workers = await stack.enter_async_context(Workers(settings, folder))
                parts |= {"worker": [process.pid for process in workers.processes], "triton": [self._triton.process.pid]}
            load = self._load(settings, kind, sessions, WARM_UP_S + seconds + LOAD_MARGIN_S, folder)
            stack.push_async_callback(load.stop)
            load.spawn()
            await asyncio.sleep(WARM_UP_S)
            return await self._measure(settings, parts, sessions, seconds)

    async def _measure(self, settings: Settings, parts: Mapping[str, Sequence[int]], sessions: int, seconds: int) -> Run:
        client = TritonClient(self._triton.grpc_url, 5.0)
        scores = RecordCounter(self._kafka.bootstrap, Topics(settings.kafka.topic_prefix).scores)
        try:
            began, usage_before, finals_before = time.monotonic(), meter.read(parts), scores.total()
            inferences_before, executions_before = await client.counts("mmci")
            await asyncio.sleep(seconds)
            took_s, usage, finals = time.monotonic() - began, meter.read(parts), scores.total()
            inferences, executions = await client.counts("mmci")
        finally:
            scores.close()
            await client.close()
        new_executions = executions - executions_before
        return Run(
            windows=finals - finals_before,
            expected=took_s * sessions / (settings.windows.hop_ms / 1000),
            cpu_s={name: usage.cpu_s[name] - usage_before.cpu_s[name] for name in parts},
            resident_mb=usage.resident_mb,
            batch=(inferences - inferences_before) / new_executions if new_executions else 1.0,
            timings=await asyncio.to_thread(_timings, settings) if "triton" in parts else {},
        )

    def _settings(self, prefix: str) -> Settings:
        default = Settings()
        kafka = {"bootstrap": self._kafka.bootstrap, "topic_prefix": prefix, "group": prefix, "partitions": PARTITIONS}
        return default.model_copy(
            update={
                "kafka": default.kafka.model_copy(update=kafka),
                "redis": default.redis.model_copy(update={"url": SecretStr(self._redis.url)}),
                "triton": default.triton.model_copy(update={"url": self._triton.grpc_url}),
                "windows": default.windows.model_copy(update={"partial_every_ms": 0}),
                "limits": default.limits.model_copy(update={"sessions": 5000, "chunks_held": 200_000}),
                "health": HealthSettings(port=free_port()),
            }
        )

    @contextlib.asynccontextmanager
    async def _peer(self, system: str, settings: Settings, folder: Path) -> AsyncIterator[int]:
        command = [
            *(sys.executable, "-m", MODULES[system], self._kafka.bootstrap, settings.kafka.topic_prefix),
            *(self._redis.url, str(folder)),
        ]
        environment = {**child_environment(settings), "OMP_NUM_THREADS": "1"}
        process = ManagedProcess(system, command, folder / f"{system}.log", environment)
        process.spawn()
        try:
            await asyncio.sleep(PEER_START_S)
            if not process.running:
                raise RuntimeError(f"{system} ended: {(folder / f'{system}.log').read_text()[-2000:]}")
            yield process.pid
        finally:
            await process.stop()

    def _load(self, settings: Settings, kind: str, sessions: int, seconds: int, folder: Path) -> ManagedProcess:
        command = [
            *(sys.executable, "-m", "benchmarks.pipeline_runs.load", self._kafka.bootstrap),
            *(settings.kafka.topic_prefix, kind, str(sessions), str(seconds)),
        ]
        return ManagedProcess("load", command, folder / "load.log")


class RecordCounter:
    """Counts the records of a topic."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "benchmark"})
        self._partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]

    def total(self) -> int:
        """Number of records that the topic holds now."""
        return sum(self._consumer.get_watermark_offsets(partition, timeout=10)[1] for partition in self._partitions)

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()


def _timings(settings: Settings) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{settings.health.port}/timings", timeout=10) as answer:
        timings: dict[str, Any] = json.load(answer)
        return timings


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
