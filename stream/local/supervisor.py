"""Keeps one service of the embedded stack alive: restarts it when it ends or fails its health check, but not without end."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from stream.aio.backoff import Backoff
from stream.local.errors import LocalStackError, ServiceLostError
from stream.local.events import OnEvent, ServiceState, StackEvent
from stream.local.process import ManagedProcess

HealthCheck = Callable[[], Awaitable[str | None]]
"""Says why a service does not do its work although its process runs; None if it does."""


class SupervisedService(Protocol):
    """A service that a `Supervisor` can keep alive."""

    process: ManagedProcess

    async def restart(self) -> None:
        """Start it again on the same address, whatever is left of it.

        Raises:
            LocalStackError: It does not start; the supervisor tries again.
            ServiceLostError: A restart would not bring back its data; the supervisor gives up.
        """


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How often a supervisor checks a service, and how often it restarts it.

    Attributes:
        check_every_s: Time between checks. A second is short beside a restart (Redis: under a second, Triton: several).
        max_restarts: Most restarts within `period_s`. A service that needs more will not recover by itself: give up, and tell the user.
        period_s: Older restarts than this are forgotten, so that a long run survives an occasional crash.
        backoff: Delay before the second, third… restart within `period_s`.
    """

    check_every_s: float = 1.0
    max_restarts: int = 5
    period_s: float = 120.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=0.5, cap_s=8.0))


class Supervisor:
    """Checks a service and restarts it, until cancelled.

    Args:
        name: The service's name in events.
        service: The service.
        on_event: Called with restarts and with the final failure.
        health_check: Finds failures of a service whose process runs; default: a running process is healthy.
        policy: Intervals and bounds.
        clock: Monotonic seconds.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        name: str,
        service: SupervisedService,
        on_event: OnEvent,
        *,
        health_check: HealthCheck | None = None,
        policy: RestartPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._name = name
        self._service = service
        self._on_event = on_event
        self._health_check = health_check
        self._policy = policy or RestartPolicy()
        self._clock = clock
        self._sleep = sleep
        self._recent: deque[float] = deque()
        """When the service was restarted within the period."""
        self.restarts = 0
        """Restarts so far."""

    async def run(self) -> None:
        """Check and restart. Raises `LocalStackError` when the service cannot be kept alive."""
        while True:
            await self._sleep(self._policy.check_every_s)
            reason = await self._failure()
            while reason is not None:
                reason = await self._restart(reason)

    async def _failure(self) -> str | None:
        if not self._service.process.running:
            return "its process ended"
        return None if self._health_check is None else await self._health_check()

    async def _restart(self, reason: str) -> str | None:
        """Restart once. Returns the reason for another restart if this one failed."""
        now = self._clock()
        while self._recent and now - self._recent[0] > self._policy.period_s:
            self._recent.popleft()
        if len(self._recent) >= self._policy.max_restarts:
            self._on_event(StackEvent(self._name, ServiceState.FAILED, reason, restarts=self.restarts))
            raise LocalStackError(f"{self._name} failed {len(self._recent) + 1} times in {self._policy.period_s:g} s ({reason}); gave up")
        if self._recent:
            await self._sleep(self._policy.backoff.delay_s(len(self._recent)))
        self._recent.append(now)
        self.restarts += 1
        self._on_event(StackEvent(self._name, ServiceState.RESTARTING, reason, restarts=self.restarts))
        try:
            await self._service.restart()
        except ServiceLostError as error:
            self._on_event(StackEvent(self._name, ServiceState.FAILED, str(error), restarts=self.restarts))
            raise
        except LocalStackError as error:
            return str(error)
        self._on_event(StackEvent(self._name, ServiceState.RESTARTED, reason, self._clock() - now, self.restarts))
        return None
