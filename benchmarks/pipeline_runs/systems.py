"""Brings up broker, Redis and Triton, runs one system at a time on a load, and reads off what it did."""

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
from stream.model_repository.repository import assemble_text_encoder
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
"""The first windows are final after 5 s."""
READY_S = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """What a system did while it was watched.

    Attributes:
        windows: Final windows.
        expected: Windows that became due.
        cpu_s: Of each part of the system: its worker, Redis, and Triton where it uses it.
        resident_mb: Likewise.
        batch: Mean number of windows in one execution of the model.
        timings: The worker's own, by step; empty for a peer.
    """

    windows: int
    expected: float
    cpu_s: Mapping[str, float]
    resident_mb: Mapping[str, float]
    batch: float
    timings: Mapping[str, Mapping[str, float]]

    @property
    def cpu_s_per_window(self) -> float:
        """CPU seconds of everything but the broker; of a system that makes no windows, for each that became due."""
        return sum(self.cpu_s.values()) / (self.windows or self.expected)

    @property
    def kept_up(self) -> bool:
        """Whether (nearly) as many windows were final as became due."""
        return self.windows >= 0.97 * self.expected


class Bench:
    """The services that all runs share. Use `bench`."""

    def __init__(self, directory: Path, kafka: ApacheKafka, redis: RedisServer, triton: TritonServer) -> None:
        self._directory = directory
        self._kafka = kafka
        self._redis = redis
        self._triton = triton
        self._runs = 0

    async def run(self, system: str, kind: str, sessions: int, seconds: int) -> Run:
        """Let a system (``sentistream``, a peer or `FLOOR`) work on so many live sessions, and watch it for so many seconds."""
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
            load = self._load(settings, kind, sessions, WARM_UP_S + seconds + 4, folder)
            stack.push_async_callback(load.stop)
            load.spawn()
            await asyncio.sleep(WARM_UP_S)
            return await self._watch(settings, parts, sessions, seconds)

    async def _watch(self, settings: Settings, parts: Mapping[str, Sequence[int]], sessions: int, seconds: int) -> Run:
        client = TritonClient(self._triton.grpc_url, 5.0)
        counts = Counts(self._kafka.bootstrap, Topics(settings.kafka.topic_prefix).scores)
        try:
            began, before, finals, inferences = time.monotonic(), meter.read(parts), counts.total(), await client.counts("mmci")
            await asyncio.sleep(seconds)
            took, after, done, inferred = time.monotonic() - began, meter.read(parts), counts.total(), await client.counts("mmci")
        finally:
            counts.close()
            await client.close()
        executions = inferred[1] - inferences[1]
        return Run(
            windows=done - finals,
            expected=took * sessions / (settings.windows.hop_ms / 1000),
            cpu_s={name: after.cpu_s[name] - before.cpu_s[name] for name in parts},
            resident_mb=after.resident_mb,
            batch=(inferred[0] - inferences[0]) / executions if executions else 1.0,
            timings=await asyncio.to_thread(_timings, settings) if "triton" in parts else {},
        )

    def _settings(self, prefix: str) -> Settings:
        plain = Settings()
        kafka = {"bootstrap": self._kafka.bootstrap, "topic_prefix": prefix, "group": prefix, "partitions": PARTITIONS}
        return plain.model_copy(
            update={
                "kafka": plain.kafka.model_copy(update=kafka),
                "redis": plain.redis.model_copy(update={"url": SecretStr(self._redis.url)}),
                "triton": plain.triton.model_copy(update={"url": self._triton.grpc_url}),
                "windows": plain.windows.model_copy(update={"partial_every_ms": 0}),
                "limits": plain.limits.model_copy(update={"sessions": 5000, "chunks_held": 200_000}),
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
            await asyncio.sleep(6)
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


class Counts:
    """How many records a topic holds."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "benchmark"})
        self._partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]

    def total(self) -> int:
        """Records now."""
        return sum(self._consumer.get_watermark_offsets(partition, timeout=10)[1] for partition in self._partitions)

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def _timings(settings: Settings) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{settings.health.port}/timings", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


@contextlib.asynccontextmanager
async def bench(directory: Path) -> AsyncIterator[Bench]:
    """Start the services, and stop them."""
    repository = Settings().triton.model_repository
    await asyncio.to_thread(assemble_text_encoder, repository)
    kafka, redis, triton = ApacheKafka(directory / "kafka"), RedisServer(directory), TritonServer(repository, directory)
    async with contextlib.AsyncExitStack() as stack:
        for part in (kafka, redis, triton):
            stack.push_async_callback(part.stop)
        await asyncio.gather(kafka.start(), redis.start(), triton.start())
        yield Bench(directory, kafka, redis, triton)
