"""The worker's fencing token, with which Redis recognises the owner of a session.

Kafka assigns each partition to one worker. But a worker that was frozen, or cut off from Kafka, learns late that its partitions were
reassigned, and may still publish windows. So each assignment takes a new token, higher than any before, and Redis refuses a worker whose
token is lower than the highest that the session has seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Fence:
    """Fetches a token after each assignment, in the background. Publishing waits for the token; the rebalance does not.

    A rebalance that waited for Redis would hold up the whole consumer group for as long as Redis is away. After the rebalance timeout the
    broker would continue without this worker.

    Args:
        next_token: Fetches a token from Redis; waits out outages.
    """

    def __init__(self, next_token: Callable[[], Awaitable[int]]) -> None:
        self._next_token = next_token
        self._taking: asyncio.Task[int] | None = None

    def renew(self) -> None:
        """Fetch a new token. The previous token is no longer used."""
        self.drop()
        self._taking = asyncio.ensure_future(self._take())

    async def _take(self) -> int:
        return await self._next_token()

    async def token(self) -> int:
        """The token in force; waits while it is being fetched. 0 before the first assignment."""
        while (taking := self._taking) is not None:
            await asyncio.wait({taking})
            # Another assignment may have come in the meantime. Then its token counts, which is still being fetched.
            if taking is self._taking:
                return taking.result()
        return 0

    def drop(self) -> None:
        """Stop fetching a token."""
        if self._taking is not None:
            self._taking.cancel()
