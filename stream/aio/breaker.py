"""A circuit breaker whose callers wait: no call is refused, and a server that is down is not flooded with attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stream.aio.backoff import Backoff

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[object]]


class Breaker:
    """Runs attempts until one succeeds.

    While it is closed, every caller's attempt runs at once. The first outage opens it. From then on one caller at a time waits for the
    backoff and probes the server with its own request; the others wait for the result of that probe. The first success closes it.

    Args:
        outage: The error that opens it. Any other error is the caller's.
        backoff: Pauses between probes.
        sleep: Waits for some seconds.
    """

    def __init__(self, outage: type[Exception], backoff: Backoff, sleep: Sleep = asyncio.sleep) -> None:
        self._outage = outage
        self._backoff = backoff
        self._sleep = sleep
        self._failures = 0
        self._probe = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """True while the server is considered down."""
        return self._failures > 0

    @property
    def failures(self) -> int:
        """Failed attempts in a row; 0 while it is closed."""
        return self._failures

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The result of the first attempt that does not raise the outage error. Raises every other error of an attempt."""
        while True:
            try:
                if not self.is_open:
                    return await attempt()
            except self._outage:
                self._failures = max(self._failures, 1)
            async with self._probe:
                if self.is_open:
                    await self._sleep(self._backoff.delay_s(self._failures))
                    try:
                        return await self._probe_with(attempt)
                    except self._outage:
                        self._failures += 1

    async def _probe_with(self, attempt: Callable[[], Awaitable[T]]) -> T:
        try:
            result = await attempt()
        except self._outage:
            raise
        except Exception:
            # The server answered, though with an error: it is not down.
            self._failures = 0
            raise
        self._failures = 0
        return result
