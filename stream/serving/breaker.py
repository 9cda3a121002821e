"""A circuit breaker whose callers wait: nothing is refused, and nobody hammers a server that is down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stream.serving.errors import TritonUnavailableError
from stream.serving.retry import Backoff

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[object]]


class Breaker:
    """Runs attempts until one works.

    Closed, every caller's attempt runs at once. The first `TritonUnavailableError` opens it; from then on one caller at a time
    waits for the backoff and probes with its own request, and the others wait for what becomes of that. The first success closes it.
    """

    def __init__(self, backoff: Backoff, sleep: Sleep = asyncio.sleep) -> None:
        self._backoff = backoff
        self._sleep = sleep
        self._failures = 0
        self._probe = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """True while the server is taken to be down."""
        return self._failures > 0

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Result of the first attempt that does not raise `TritonUnavailableError`; other errors are the caller's."""
        while True:
            try:
                if not self.is_open:
                    return await attempt()
            except TritonUnavailableError:
                self._failures = max(self._failures, 1)
            async with self._probe:
                if self.is_open:
                    await self._sleep(self._backoff.delay_s(self._failures))
                    try:
                        return await self._probe_with(attempt)
                    except TritonUnavailableError:
                        self._failures += 1

    async def _probe_with(self, attempt: Callable[[], Awaitable[T]]) -> T:
        try:
            result = await attempt()
        except TritonUnavailableError:
            raise
        except Exception:
            self._failures = 0
            raise
        self._failures = 0
        return result
