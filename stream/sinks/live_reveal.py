"""What the probes of the live stream have shown, in Redis: the sums of each worker by hour, and the report that is made of them.

One hash, `stream.sinks.keys.REVEAL`. A worker replaces its own fields only, with sums that it keeps itself, so a write that is repeated
counts once.
"""

from __future__ import annotations

from typing import cast

import msgspec

from stream.domain.live_reveal import HOUR_MS, LiveHour, LiveReport
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import REVEAL

REPORT = "report"
"""Field of the newest report, a `LiveReport` as JSON. The other fields are ``HOUR:WORKER``, each a `LiveHour`."""


class LiveRevealStore:
    """Reads and writes the hash. Each call is tried once; raises `stream.sinks.problems.RedisUnusableError`.

    Args:
        redis: The connection. Whoever made it closes it.
        hours: How many hours count; older fields are removed.
    """

    def __init__(self, redis: RedisConnection, hours: int) -> None:
        self._redis = redis
        self._hours = hours

    async def put(self, worker: str, own: LiveHour) -> None:
        """Write the sums of a worker in an hour, in the place of those that it wrote before for that hour."""
        await self._redis.once(lambda redis: self._write(redis, f"{own.hour}:{worker}", msgspec.json.encode(own)))

    async def hours(self, now_ms: int) -> list[LiveHour]:
        """The sums of all workers in the hours that count; older ones, and what cannot be read, are removed."""
        stored = cast(dict[str, str], await self._redis.once(lambda redis: redis.hgetall(REVEAL)))
        oldest = now_ms // HOUR_MS - self._hours + 1
        found = {field: _hour(value) for field, value in stored.items() if field != REPORT}
        gone = [field for field, own in found.items() if own is None or own.hour < oldest]
        if gone:
            await self._redis.once(lambda redis: redis.hdel(REVEAL, *gone))
        return [own for field, own in sorted(found.items()) if own is not None and field not in gone]

    async def put_report(self, report: LiveReport) -> None:
        """Write the newest report."""
        await self._redis.once(lambda redis: self._write(redis, REPORT, msgspec.json.encode(report)))

    async def report(self) -> LiveReport | None:
        """The newest report; None if there is none, or it is of another release."""
        stored = cast(str | None, await self._redis.once(lambda redis: redis.hget(REVEAL, REPORT)))
        try:
            return None if stored is None else msgspec.json.decode(stored, type=LiveReport)
        except msgspec.MsgspecError:
            return None

    async def _write(self, redis: RedisClient, field: str, value: bytes) -> None:
        async with redis.pipeline(transaction=False) as pipe:
            pipe.hset(REVEAL, field, value.decode())
            pipe.expire(REVEAL, self._hours * HOUR_MS // 1000)
            await pipe.execute()


def _hour(value: str) -> LiveHour | None:
    try:
        return msgspec.json.decode(value, type=LiveHour)
    except msgspec.MsgspecError:
        return None
