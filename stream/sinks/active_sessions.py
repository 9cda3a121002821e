"""The list of active sessions in Redis, in which readers find the sessions of all workers."""

from __future__ import annotations

import time

from stream.domain.identity import SessionKey
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import SESSIONS

MARK_EVERY_S = 10.0
"""A session is marked as active no more often than this: a mark for each window would double the writes. Readers look up sessions from a
while before the newest activity, see `stream.sinks.reader.OVERLAP_MS`."""


class ActiveSessions:
    """Marks sessions as active.

    Args:
        redis: The connection.
        result_ttl_s: How long results live. Sessions without activity for this long are removed from the list.
    """

    def __init__(self, redis: RedisConnection, result_ttl_s: int) -> None:
        self._redis = redis
        self._result_ttl_s = result_ttl_s
        self._marked_at: dict[SessionKey, float] = {}
        """When each session was marked (monotonic, s), in order of time."""

    def is_due(self, session: SessionKey) -> bool:
        """Whether a session has not been marked for `MARK_EVERY_S`."""
        return time.monotonic() - self._marked_at.get(session, float("-inf")) >= MARK_EVERY_S

    async def mark(self, session: SessionKey) -> None:
        """Mark a session as active now, and remove sessions whose results have expired. Waits out an outage."""
        await self._redis.waiting_out(lambda redis, _: self._mark(redis, session))
        self._remember(session)

    async def mark_once(self, session: SessionKey) -> None:
        """As `mark`, but raises `stream.sinks.problems.RedisUnusableError` during an outage."""
        await self._redis.once(lambda redis: self._mark(redis, session))
        self._remember(session)

    async def _mark(self, redis: RedisClient, session: SessionKey) -> None:
        now_ms = time.time() * 1000
        async with redis.pipeline(transaction=False) as pipe:
            pipe.zadd(SESSIONS, {str(session): round(now_ms)})
            pipe.zremrangebyscore(SESSIONS, "-inf", round(now_ms - self._result_ttl_s * 1000))
            await pipe.execute()

    def _remember(self, session: SessionKey) -> None:
        # The session moves to the end. Sessions at the front that are due again need not be remembered.
        self._marked_at.pop(session, None)
        self._marked_at[session] = time.monotonic()
        while self.is_due(oldest := next(iter(self._marked_at))):
            del self._marked_at[oldest]
