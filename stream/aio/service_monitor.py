"""Watches the services that a program needs, and reports each problem when it begins, every minute while it lasts, and when it is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NoReturn, Protocol

from stream.domain.service_problem import ServiceProblem

Check = Callable[[], Awaitable[ServiceProblem | None]]
"""Returns why its service cannot be used now, or None if it can. May also raise an error that says so."""


class WrongServiceError(Exception):
    """A service is not what the settings say: waiting cannot help. The message is one sentence that says what to do."""


CHECK_EVERY_S = 1.5
CHECK_TIMEOUT_S = 2.0
"""A service that takes longer counts as away. Together with the time between checks, a problem is reported within 5 s."""
REPEAT_S = 60.0
REUSED_FOR_S = 1.0
"""The result of a check is used again for this long, so that frequent probes of ``/ready`` do not load the services."""


@dataclass(frozen=True, slots=True)
class OngoingProblem:
    """A problem that a service has now, and its beginning.

    Attributes:
        problem: What it is now; it may change while it lasts.
        since_s: When it began (Unix time).
    """

    problem: ServiceProblem
    since_s: float


class Reporter(Protocol):
    """Tells people about problems."""

    def on_problem(self, service: str, problem: ServiceProblem, lasted_s: float) -> None:
        """A problem begins (`lasted_s` is 0), becomes another one, or still lasts."""

    def on_recovery(self, service: str, lasted_s: float) -> None:
        """The service can be used again."""


class ServiceMonitor:
    """Checks services in turn.

    Args:
        checks: By name of a service, its check. A check that raises an error is a problem, too: only the name of the error's class is
            shown, because its text may hold a password.
        reporter: Told about changes, by `run` and `report` only.
        clock: Unix time in seconds.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        reporter: Reporter | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._checks = checks
        self._reporter = reporter
        self._clock = clock
        self._sleep = sleep
        self._checking = asyncio.Lock()
        self._checked_s = float("-inf")
        self._reported_s: dict[str, float] = {}
        self._reported: dict[str, OngoingProblem] = {}
        self.problems: dict[str, OngoingProblem] = {}
        """The problems of the last check, by service."""

    @property
    def services(self) -> Collection[str]:
        """Names of the services."""
        return self._checks.keys()

    async def check(self) -> Mapping[str, OngoingProblem]:
        """Check all services at the same time, unless they have just been checked. One caller checks; the others use its result."""
        async with self._checking:
            if self._clock() - self._checked_s < REUSED_FOR_S:
                return self.problems
            found = await asyncio.gather(*(_problem(check) for check in self._checks.values()))
            now_s = self._clock()
            self.problems = {
                name: OngoingProblem(problem, self.problems[name].since_s if name in self.problems else now_s)
                for name, problem in zip(self._checks, found, strict=True)
                if problem is not None and problem.serious
            }
            self._checked_s = now_s
            return self.problems

    async def require_usable(self) -> None:
        """Check once. Raises `WrongServiceError` for a problem that does not pass by itself; an outage is left to `run`."""
        for ongoing in (await self.check()).values():
            if ongoing.problem.lasting:
                raise WrongServiceError(ongoing.problem.text)

    def report(self, service: str, problem: ServiceProblem) -> None:
        """Report a problem that was found without a check, unless it has been reported."""
        since_s = self.problems[service].since_s if service in self.problems else self._clock()
        self.problems = {**self.problems, service: OngoingProblem(problem, since_s)}
        self._report()

    async def run(self) -> NoReturn:
        """Check and report until cancelled."""
        while True:
            await self.check()
            self._report()
            await self._sleep(CHECK_EVERY_S)

    def _report(self) -> None:
        if self._reporter is None:
            return
        now_s = self._clock()
        for name, ongoing in self.problems.items():
            before = self._reported.get(name)
            changed = before is None or before.problem.code != ongoing.problem.code
            if changed or now_s - self._reported_s[name] >= REPEAT_S:
                self._reporter.on_problem(name, ongoing.problem, now_s - ongoing.since_s)
                self._reported_s[name] = now_s
                self._reported[name] = ongoing
        for name in [name for name in self._reported if name not in self.problems]:
            self._reporter.on_recovery(name, now_s - self._reported.pop(name).since_s)


async def _problem(check: Check) -> ServiceProblem | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return ServiceProblem("no_answer", f"no answer within {CHECK_TIMEOUT_S:g} s", lasting=False)
    except Exception as error:
        return ServiceProblem("error", type(error).__name__, lasting=False)
