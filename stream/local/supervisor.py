"""Keeps one part of the embedded stack alive: notices that it died or fell silent, and restarts it a bounded number of times."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from stream.aio.backoff import Backoff
from stream.local.errors import LocalStackError, PartLostError
from stream.local.events import Change, OnEvent, StackEvent


class Part(Protocol):
    """What is supervised."""

    @property
    def alive(self) -> bool:
        """False once its process has ended."""

    async def sick(self) -> str | None:
        """Why it does not do its work although its process lives; None while it does."""

    async def restart(self) -> None:
        """Start it again where it was. Raises `LocalStackError`, or `PartLostError` when trying again is useless."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often to look and how often to restart.

    Attributes:
        interval_s: Between looks.
        restarts: Most restarts within `period_s`; after more, the part has failed for good.
        period_s: See `restarts`.
        backoff: Delay before the second, third… restart in the period.
    """

    interval_s: float = 1.0
    restarts: int = 5
    period_s: float = 120.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=0.5, cap_s=8.0))


class Supervisor:
    """Watches one part until cancelled.

    Args:
        name: The part's name in events.
        part: What to watch.
        on_event: Told of restarts and of the end.
        patience: Intervals and bounds.
        clock: Monotonic seconds.
        sleep: Waits.
    """

    def __init__(
        self,
        name: str,
        part: Part,
        on_event: OnEvent,
        *,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._name = name
        self._part = part
        self._on_event = on_event
        self._patience = patience or Patience()
        self._clock = clock
        self._sleep = sleep
        self._recent: deque[float] = deque()
        self.restarts = 0

    async def run(self) -> None:
        """Watch and restart. Raises `LocalStackError` when the part cannot be kept alive."""
        while True:
            await self._sleep(self._patience.interval_s)
            reason = await self._trouble()
            while reason is not None:
                reason = await self._restart(reason)

    async def _trouble(self) -> str | None:
        if not self._part.alive:
            return "its process ended"
        return await self._part.sick()

    async def _restart(self, reason: str) -> str | None:
        """Restart once; the reason for the next restart, if it failed."""
        now = self._clock()
        while self._recent and now - self._recent[0] > self._patience.period_s:
            self._recent.popleft()
        if len(self._recent) >= self._patience.restarts:
            self._on_event(StackEvent(self._name, Change.FAILED, reason, restarts=self.restarts))
            raise LocalStackError(f"{self._name} failed {len(self._recent) + 1} times in {self._patience.period_s:g} s ({reason}); gave up")
        if self._recent:
            await self._sleep(self._patience.backoff.delay_s(len(self._recent)))
        self._recent.append(now)
        self.restarts += 1
        self._on_event(StackEvent(self._name, Change.RESTARTING, reason, restarts=self.restarts))
        try:
            await self._part.restart()
        except PartLostError as error:
            self._on_event(StackEvent(self._name, Change.FAILED, str(error), restarts=self.restarts))
            raise
        except LocalStackError as error:
            return str(error)
        self._on_event(StackEvent(self._name, Change.RESTARTED, reason, self._clock() - now, self.restarts))
        return None
