"""The worker's fencing token: the worker with the newest token owns the sessions of its partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class FencedOffError(Exception):
    """Another worker has a newer token, and yet Kafka has not revoked our partitions: only a new assignment can say who owns them."""


class Fence:
    """Takes a token after each assignment, in the background. Publishing waits for it; the rebalance does not.

    A rebalance that waited for Redis would hold up the whole consumer group for as long as Redis is away. After the rebalance timeout the
    broker would go on without this worker.

    Args:
        next_token: Takes a token from Redis; waits out outages.
    """

    def __init__(self, next_token: Callable[[], Awaitable[int]]) -> None:
        self._next_token = next_token
        self._taking: asyncio.Task[int] | None = None

    def renew(self) -> None:
        """Take a new token; the token before is no longer used."""
        self.drop()
        self._taking = asyncio.ensure_future(self._take())

    async def _take(self) -> int:
        return await self._next_token()

    async def token(self) -> int:
        """The token in force; waits while it is being taken. 0 before the first assignment."""
        while (taking := self._taking) is not None:
            await asyncio.wait({taking})
            if taking is self._taking:
                return taking.result()
        return 0

    def drop(self) -> None:
        """Stop taking a token."""
        if self._taking is not None:
            self._taking.cancel()
