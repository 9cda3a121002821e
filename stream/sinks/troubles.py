"""The problems of Redis for which calls wait now: known to /ready, and said in the log where no monitor says them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from stream.sinks.problems import Diagnosis, RedisProblem, Remedy

log = structlog.get_logger(__name__)

AGAIN_S = 60.0
"""A problem that lasts is logged again after this time."""


@dataclass(slots=True)
class Waiting:
    """A call that may wait, and why it waits now."""

    diagnosis: Diagnosis | None = None


class Troubles:
    """Collects what waiting calls run into.

    Args:
        address: Where Redis is, without user and password.
        logs: Whether to log problems; False if a monitor does.
        clock: Seconds that only rise.
    """

    def __init__(self, address: str, *, logs: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._logs = logs
        self._clock = clock
        self._waiting: dict[int, Waiting] = {}
        self._said: dict[RedisProblem, float] = {}
        self._attempts = 0

    @property
    def current(self) -> Diagnosis | None:
        """What a call waits for now; what does not pass by itself comes before an outage. None if no call waits."""
        found = [waiting.diagnosis for waiting in self._waiting.values() if waiting.diagnosis is not None]
        return max(found, key=lambda diagnosis: diagnosis.problem.remedy.value, default=None)

    @contextmanager
    def of_call(self) -> Iterator[Waiting]:
        """Inside it a call may note that it waits; at its end it no longer does."""
        waiting = Waiting()
        try:
            yield waiting
        finally:
            if self._waiting.pop(id(waiting), None) is not None and not self._waiting:
                self._end()

    def note(self, waiting: Waiting, diagnosis: Diagnosis | None) -> None:
        """Note why a call waits."""
        waiting.diagnosis = diagnosis
        self._waiting[id(waiting)] = waiting
        self._attempts += 1
        if self._logs and diagnosis is not None:
            self._say(diagnosis)

    def _say(self, diagnosis: Diagnosis) -> None:
        problem, now = diagnosis.problem, self._clock()
        if now - self._said.get(problem, float("-inf")) < AGAIN_S:
            return
        self._said[problem] = now
        say = log.warning if problem.remedy is Remedy.WAIT else log.error
        say("redis_unavailable", code=problem.value, what=diagnosis.sentence(self._address))

    def _end(self) -> None:
        """No call waits any more. An outage that comes back is a new one; another problem that comes back soon is not said again."""
        if self._logs:
            log.info("redis_available", attempts=self._attempts + 1)
        self._attempts = 0
        for problem in [problem for problem in self._said if problem.remedy is Remedy.WAIT]:
            del self._said[problem]
