"""Fills the moderation queue from the alerts that workers raise.

Every gateway feeds every alert; the queue takes each once. At the start, and now and then, the alerts that Redis holds are fed again: so an
alert that was raised while no gateway ran, or in an outage, is not missed.
"""

from __future__ import annotations

import asyncio
from collections import deque

import structlog

from stream.domain.alert import AlertRecord
from stream.sinks.alert_queue import AlertQueue
from stream.sinks.connection import RedisConnection
from stream.sinks.problems import RedisUnusableError
from stream.sinks.stored_alerts import stored_alerts

log = structlog.get_logger(__name__)

READ_AGAIN_S = 300.0
OVERLAP_MS = 60_000
"""How much further back the next reading begins: workers write their own wall clocks."""
RETRY_S = 1.0
MOST_WAITING = 5_000
"""Alerts that wait to be fed. Beyond, all that Redis holds is read again instead."""
AT_ONCE = 64
PRUNE_EVERY_S = 600.0


class AlertFeeder:
    """Feeds alerts while `run` runs.

    Args:
        queue: Takes them.
        redis: Holds them.
    """

    def __init__(self, queue: AlertQueue, redis: RedisConnection) -> None:
        self._queue = queue
        self._redis = redis
        self._waiting: deque[AlertRecord] = deque()
        self._offered = asyncio.Event()
        self._read_from_ms = 0
        self._read_at = float("-inf")

    def offer(self, alert: AlertRecord) -> None:
        """Feed an alert soon."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.clear()
            self._read_from_ms, self._read_at = 0, float("-inf")
        self._waiting.append(alert)
        self._offered.set()

    async def run(self) -> None:
        """Feed and prune until cancelled; waits out outages of Redis."""
        loop = asyncio.get_running_loop()
        pruned_at = float("-inf")
        while True:
            try:
                if loop.time() - self._read_at >= READ_AGAIN_S:
                    self._read_at = loop.time()
                    await self._feed_stored(self._read_from_ms)
                if loop.time() - pruned_at >= PRUNE_EVERY_S:
                    await self._prune()
                    pruned_at = loop.time()
                await self._feed_waiting()
            except RedisUnusableError:
                self._read_at = float("-inf")
                await asyncio.sleep(RETRY_S)
                continue
            await self._wait(READ_AGAIN_S)

    async def _feed_stored(self, since_ms: int) -> None:
        now_ms = await self._queue.now_ms()
        added = 0
        async for alerts in stored_alerts(self._redis, since_ms):
            added += await self._queue.feed(alerts)
        self._read_from_ms = now_ms - OVERLAP_MS - round(READ_AGAIN_S * 1000)
        if added:
            log.info("alerts_found", added=added)

    async def _feed_waiting(self) -> None:
        while self._waiting:
            # What an outage interrupts is read from Redis again.
            await self._queue.feed([self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))])

    async def _prune(self) -> None:
        for tenant in await self._queue.tenants():
            while await self._queue.prune(tenant):
                pass

    async def _wait(self, longest_s: float) -> None:
        try:
            async with asyncio.timeout(longest_s):
                await self._offered.wait()
        except TimeoutError:
            return
        self._offered.clear()
