"""Faults: how they are injected, how long they last, and how much of the recovery time is unavoidable."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from benchmarks.fault_runs.cluster import Services, WorkerPool
from tests.support.fault_proxy import FaultProxy

OUTAGE_S = 3.0
CUT_S = 4.0
WORKERS = 2
"""Number of workers at the start of a run, restored after each fault."""


class Fault(StrEnum):
    """One kind of fault."""

    KILL = "worker SIGKILL"
    JOIN = "worker joins"
    TERM = "worker SIGTERM"
    ZOMBIE = "worker SIGSTOP, SIGCONT"
    BROKER = "broker kill -9, restart"
    REDIS = "Redis kill -9, restart"
    CUT_REDIS = "network cut worker-Redis"
    STALL_REDIS = "network stall worker-Redis"
    CUT_KAFKA = "network cut worker-Kafka"
    STALL_KAFKA = "network stall worker-Kafka"
    TRITON = "Triton kill -9, restart"


def schedule(seed: int, faults_per_run: int, *, triton: bool) -> Iterator[list[Fault]]:
    """Draw the faults of endless runs like cards from a deck: every kind of fault comes before any kind comes again."""
    rng = random.Random(seed)
    kinds = [fault for fault in Fault if triton or fault is not Fault.TRITON]
    deck: list[Fault] = []
    while True:
        while len(deck) < faults_per_run:
            deck += rng.sample(kinds, len(kinds))
        yield deck[:faults_per_run]
        del deck[:faults_per_run]


class FaultInjector:
    """Injects faults into workers and their services.

    Args:
        services: The services that all workers share.
        workers: The workers of the run.
        session_timeout_s: Time after which Kafka considers a silent worker dead.
        seed: Seed for the choice of the workers that suffer the faults.
    """

    def __init__(self, services: Services, workers: WorkerPool, session_timeout_s: float, seed: int) -> None:
        self._services = services
        self._workers = workers
        self._session_timeout_s = session_timeout_s
        self._random = random.Random(seed)
        self._affected_slots: set[int] = set()

    async def inject(self, fault: Fault, after_s: float = 0.0) -> float:
        """Wait, inject a fault and return when it is over.

        Returns:
            Seconds of the recovery that are unavoidable: the wait, and the session timeout or the outage itself.
        """
        await asyncio.sleep(after_s)
        return after_s + await self._inject(fault)

    async def _inject(self, fault: Fault) -> float:
        injections: dict[Fault, Callable[[], Awaitable[float]]] = {
            Fault.KILL: self._kill,
            Fault.JOIN: self._join,
            Fault.TERM: self._term,
            Fault.ZOMBIE: self._zombie,
            Fault.BROKER: self._broker,
            Fault.REDIS: self._redis,
            Fault.CUT_REDIS: lambda: self._without_redis(self._cut),
            Fault.STALL_REDIS: lambda: self._without_redis(self._stall),
            Fault.CUT_KAFKA: lambda: self._without_kafka(self._cut),
            Fault.STALL_KAFKA: lambda: self._without_kafka(self._stall),
            Fault.TRITON: self._triton,
        }
        return await injections[fault]()

    @property
    def has_worker(self) -> bool:
        """Whether any worker is left."""
        return bool(self._workers.occupied_slots)

    async def restore_workers(self) -> None:
        """Start or stop workers until there are `WORKERS` of them again."""
        while len(self._workers.occupied_slots) < WORKERS:
            await self._workers.start(self._workers.free_slots[0])
        while len(self._workers.occupied_slots) > WORKERS:
            await self._workers.terminate(self._workers.occupied_slots[0])

    @contextmanager
    def _victim(self) -> Iterator[int]:
        """Choose a worker that no other fault affects."""
        victim = self._random.choice([slot for slot in self._workers.occupied_slots if slot not in self._affected_slots])
        with self._reserved(victim):
            yield victim

    @contextmanager
    def _reserved(self, slot: int) -> Iterator[None]:
        """Keep other faults away from the worker in this slot."""
        self._affected_slots.add(slot)
        yield
        self._affected_slots.discard(slot)

    async def _kill(self) -> float:
        with self._victim() as victim:
            self._workers.kill(victim)
        return self._session_timeout_s

    async def _join(self) -> float:
        slot = self._workers.free_slots[0]
        with self._reserved(slot):
            await self._workers.start(slot)
        return 0.0

    async def _term(self) -> float:
        with self._victim() as victim:
            await self._workers.terminate(victim)
        return 0.0

    async def _zombie(self) -> float:
        with self._victim() as victim:
            self._workers.signal(victim, signal.SIGSTOP)
            await asyncio.sleep(self._session_timeout_s + 3)
            if victim in self._workers.occupied_slots:
                self._workers.signal(victim, signal.SIGCONT)
        return self._session_timeout_s

    async def _broker(self) -> float:
        self._services.kafka.kill()
        return await _end_after(OUTAGE_S, self._services.kafka.start)

    async def _redis(self) -> float:
        self._services.redis.process.kill()
        return await _end_after(OUTAGE_S, self._services.redis.start)

    async def _triton(self) -> float:
        triton = self._services.triton
        assert triton is not None  # noqa: S101 (the schedule has this fault only with Triton)
        triton.process.kill()
        return await _end_after(OUTAGE_S, triton.restart)

    async def _without_kafka(self, disturb: Callable[[FaultProxy, float], Awaitable[float]]) -> float:
        """Disturb the connection for longer than the session timeout, so that the other workers take over."""
        with self._victim() as victim:
            await disturb(self._services.slots[victim].kafka, self._session_timeout_s + 2)
        return self._session_timeout_s

    async def _without_redis(self, disturb: Callable[[FaultProxy, float], Awaitable[float]]) -> float:
        with self._victim() as victim:
            return await disturb(self._services.slots[victim].redis, CUT_S)

    async def _cut(self, proxy: FaultProxy, seconds: float) -> float:
        await proxy.cut()
        return await _end_after(seconds, proxy.restore)

    async def _stall(self, proxy: FaultProxy, seconds: float) -> float:
        proxy.stall()
        return await _end_after(seconds, proxy.restore)


async def _end_after(seconds: float, restore: Callable[[], Awaitable[None]]) -> float:
    """Wait, then end the fault. Returns the seconds that both took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(seconds)
    await restore()
    return loop.time() - began
