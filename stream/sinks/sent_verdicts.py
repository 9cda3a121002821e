"""Remembers for some seconds who sent which verdict, so that only they can take it back, at any gateway."""

from __future__ import annotations

from typing import cast

import msgspec

from stream.sinks.connection import RedisConnection
from stream.sinks.keys import verdict_key

UNDO_MS = 10_000
"""A verdict can be taken back for this long."""


class SentVerdict(msgspec.Struct, frozen=True):
    """Whose verdict it is, by pseudonym, and on which window."""

    actor: str
    window_id: str


class SentVerdicts:
    """Each call is tried once; raises `stream.sinks.problems.RedisUnusableError`.

    Args:
        redis: The connection. Whoever made it closes it.
    """

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis

    async def remember(self, verdict_id: str, sent: SentVerdict) -> None:
        """Remember a verdict for `UNDO_MS`."""
        await self._redis.once(lambda redis: redis.set(verdict_key(verdict_id), msgspec.json.encode(sent), px=UNDO_MS))

    async def find(self, verdict_id: str) -> SentVerdict | None:
        """A verdict that can still be taken back."""
        stored = cast(str | None, await self._redis.once(lambda redis: redis.get(verdict_key(verdict_id))))
        return None if stored is None else msgspec.json.decode(stored, type=SentVerdict)

    async def forget(self, verdict_id: str) -> None:
        """A verdict was taken back."""
        await self._redis.once(lambda redis: redis.delete(verdict_key(verdict_id)))
