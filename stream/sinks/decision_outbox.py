"""The decisions that have yet to be published: of which cases, and by which gateway."""

from __future__ import annotations

from collections.abc import Collection

from stream.domain.alert import AlertRecord
from stream.domain.case import CaseStatus
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import queue_names
from stream.sinks.queue_reading import read_cases

PAGE = 200
"""Most decisions that one call returns."""


class DecisionOutbox:
    """Reads the list that a decision puts its case on, and takes cases off it. All calls raise `stream.sinks.problems.RedisUnusableError`.

    Args:
        redis: The connection to use.
    """

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis

    async def lease(self, tenant: str, owner: str, for_ms: int) -> bool:
        """Whether this owner publishes the tenant's decisions now: of several gateways one does, and another if it stops."""
        key = queue_names(tenant).relay

        async def call(redis: RedisClient) -> bool:
            if await redis.set(key, owner, nx=True, px=for_ms):
                return True
            return bool(await redis.get(key) == owner and await redis.pexpire(key, for_ms))

        return await self._redis.once(call)

    async def end_lease(self, tenant: str, owner: str) -> None:
        """Let another gateway publish. It would get the lease in time by itself."""
        key = queue_names(tenant).relay

        async def call(redis: RedisClient) -> None:
            if await redis.get(key) == owner:
                await redis.delete(key)

        await self._redis.once(call)

    async def due(self, tenant: str) -> list[tuple[AlertRecord, CaseStatus]]:
        """Decided cases whose decision may be published: it can no longer be withdrawn. The oldest first, at most `PAGE`."""
        names = queue_names(tenant)
        now_ms = (await read_cases(self._redis, names))[0].now_ms
        ids = await self._redis.once(lambda redis: redis.zrangebyscore(names.unpublished, "-inf", now_ms, start=0, num=PAGE))
        reads = await read_cases(self._redis, names, [str(alert_id) for alert_id in ids]) if ids else []
        return [(read.alert, read.status) for read in reads if read.alert is not None]

    async def published(self, tenant: str, alert_ids: Collection[str]) -> None:
        """Note that decisions are in the topic."""
        if alert_ids:
            await self._redis.once(lambda redis: redis.zrem(queue_names(tenant).unpublished, *alert_ids))
