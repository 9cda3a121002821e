"""The worker says every few seconds how it is, for the health page."""

from __future__ import annotations

import asyncio
import time
from secrets import token_hex
from types import TracebackType
from typing import Self

import structlog

from stream.agents.worker_state import WorkerState
from stream.aio.service_monitor import ServiceMonitor
from stream.config.service_settings import RedisSettings
from stream.domain.worker_beat import WorkerBeat
from stream.sinks.connection import RedisConnection
from stream.sinks.problems import RedisUnusableError
from stream.sinks.worker_beats import BEAT_S, WorkerBeats

log = structlog.get_logger(__name__)


class Beating:
    """An async context manager. While Redis is away nothing is written, which is itself a sign.

    Args:
        settings: Where Redis is.
        state: The worker's state.
        monitor: What the worker waits for.
    """

    def __init__(self, settings: RedisSettings, state: WorkerState, monitor: ServiceMonitor) -> None:
        # Its own connection: a beat must not wait behind results.
        self._redis = RedisConnection(settings, logs=False)
        self._beats = WorkerBeats(self._redis)
        self._state = state
        self._monitor = monitor
        self._name = token_hex(4)
        self._since_ms = round(time.time() * 1000)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat_for_ever())
        return self

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._beats.remove(self._name)
        except RedisUnusableError:
            pass
        except Exception as error:
            # A worker that stops must not fail for this: its beat is forgotten in any case.
            log.warning("last_beat_not_removed", error=type(error).__name__)
        await self._redis.close()

    def beat(self) -> WorkerBeat:
        """The worker's state now."""
        truth = self._state.metrics.word_truth
        services = {name: ongoing.problem.text for name, ongoing in self._monitor.problems.items()}
        return WorkerBeat(
            worker=self._name,
            at_ms=0,
            since_ms=self._since_ms,
            partitions=self._state.partitions,
            windows=self._state.metrics.windows_scored,
            claims_checked=truth.windows,
            claims_right=truth.top_right,
            overload=self._state.overload,
            reasons={**self._state.why_not_ready(time.monotonic()), **services},
        )

    async def _beat_for_ever(self) -> None:
        while True:
            try:
                await self._beats.put(self.beat())
            except RedisUnusableError:
                pass
            except Exception as error:
                # The worker goes on, and so do its beats: without them the health page would take it for gone.
                log.warning("no_beat", error=type(error).__name__)
            await asyncio.sleep(BEAT_S)
