"""Faults: what is done, how long it lasts, and which part of the wait for recovery nobody could avoid."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from benchmarks.fault_runs.cluster import Crew, Services
from tests.support.fault_proxy import FaultProxy

OUTAGE_S = 3.0
CUT_S = 4.0
WORKERS = 2
"""At the start of a run, and again after each fault."""


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


def schedule(seed: int, each: int, *, triton: bool) -> Iterator[list[Fault]]:
    """Endless runs of ``each`` faults, drawn like cards: every kind comes before any comes again."""
    chance = random.Random(seed)
    kinds = [fault for fault in Fault if triton or fault is not Fault.TRITON]
    deck: list[Fault] = []
    while True:
        while len(deck) < each:
            deck += chance.sample(kinds, len(kinds))
        yield deck[:each]
        del deck[:each]


class Inflict:
    """Applies faults to a crew and its services.

    Args:
        services: What all workers share.
        crew: The workers.
        session_timeout_s: After which Kafka takes a worker for dead.
        seed: Of the choice of victims.
    """

    def __init__(self, services: Services, crew: Crew, session_timeout_s: float, seed: int) -> None:
        self._services = services
        self._crew = crew
        self._session_timeout_s = session_timeout_s
        self._chance = random.Random(seed)
        self._suffering: set[int] = set()

    async def apply(self, fault: Fault, after_s: float = 0.0) -> float:
        """Wait, then apply a fault to its end.

        Returns the seconds until its end that no recovery could save: the wait, and the session timeout or the outage itself.
        """
        await asyncio.sleep(after_s)
        return after_s + await self._apply(fault)

    async def _apply(self, fault: Fault) -> float:
        deeds: dict[Fault, Callable[[], Awaitable[float]]] = {
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
        return await deeds[fault]()

    @property
    def anybody(self) -> bool:
        """Whether a worker is left."""
        return bool(self._crew.present)

    async def reinforce(self) -> None:
        """Bring the crew back to its number."""
        while len(self._crew.present) < WORKERS:
            await self._crew.start(self._crew.vacant[0])
        while len(self._crew.present) > WORKERS:
            await self._crew.terminate(self._crew.present[0])

    @contextmanager
    def _victim(self) -> Iterator[int]:
        """A worker that no other fault is at."""
        victim = self._chance.choice([slot for slot in self._crew.present if slot not in self._suffering])
        with self._suffers(victim):
            yield victim

    @contextmanager
    def _suffers(self, slot: int) -> Iterator[None]:
        """No other fault comes to this worker meanwhile."""
        self._suffering.add(slot)
        yield
        self._suffering.discard(slot)

    async def _kill(self) -> float:
        with self._victim() as victim:
            self._crew.kill(victim)
        return self._session_timeout_s

    async def _join(self) -> float:
        slot = self._crew.vacant[0]
        with self._suffers(slot):
            await self._crew.start(slot)
        return 0.0

    async def _term(self) -> float:
        with self._victim() as victim:
            await self._crew.terminate(victim)
        return 0.0

    async def _zombie(self) -> float:
        with self._victim() as victim:
            self._crew.signal(victim, signal.SIGSTOP)
            await asyncio.sleep(self._session_timeout_s + 3)
            if victim in self._crew.present:
                self._crew.signal(victim, signal.SIGCONT)
        return self._session_timeout_s

    async def _broker(self) -> float:
        self._services.kafka.kill()
        return await _lasting(self._services.kafka.start, OUTAGE_S)

    async def _redis(self) -> float:
        self._services.redis.process.kill()
        return await _lasting(self._services.redis.start, OUTAGE_S)

    async def _triton(self) -> float:
        triton = self._services.triton
        assert triton is not None  # noqa: S101 (the schedule has this fault only with Triton)
        triton.process.kill()
        return await _lasting(triton.restart, OUTAGE_S)

    async def _without_kafka(self, part: Callable[[FaultProxy, float], Awaitable[float]]) -> float:
        """So long that the other workers take over: they can after the session timeout."""
        with self._victim() as victim:
            await part(self._services.slots[victim].kafka, self._session_timeout_s + 2)
        return self._session_timeout_s

    async def _without_redis(self, part: Callable[[FaultProxy, float], Awaitable[float]]) -> float:
        with self._victim() as victim:
            return await part(self._services.slots[victim].redis, CUT_S)

    async def _cut(self, proxy: FaultProxy, seconds: float) -> float:
        await proxy.cut()
        return await _lasting(proxy.restore, seconds)

    async def _stall(self, proxy: FaultProxy, seconds: float) -> float:
        proxy.stall()
        return await _lasting(proxy.restore, seconds)


async def _lasting(mend: Callable[[], Awaitable[None]], seconds: float) -> float:
    """Wait, then mend; how long both took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(seconds)
    await mend()
    return loop.time() - began
