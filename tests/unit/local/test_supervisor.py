"""A supervisor restarts a service that ends or fails its health check, up to a limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stream.aio.backoff import Backoff
from stream.local.errors import LocalStackError, ServiceLostError
from stream.local.events import ServiceState, StackEvent
from stream.local.process import ManagedProcess
from stream.local.supervisor import RestartPolicy, Supervisor

POLICY = RestartPolicy(check_every_s=1.0, max_restarts=3, period_s=60.0, backoff=Backoff(first_s=0.5, cap_s=8.0, jitter=0.0))


class EndOfTestError(Exception):
    """The virtual time of the test has passed."""


class Clock:
    """Virtual seconds that pass only in `sleep`."""

    def __init__(self, until: float) -> None:
        self.now = 0.0
        self._until = until

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now > self._until:
            raise EndOfTestError


class Process(ManagedProcess):
    """A process that runs as long as a function returns true."""

    def __init__(self, runs: Callable[[], bool]) -> None:
        super().__init__("virtual", [], Path())
        self._runs = runs

    @property
    def running(self) -> bool:
        return self._runs()


class Service:
    """A service that ends or stops answering at given times, until it is restarted. Some restarts fail.

    Args:
        clock: Virtual time.
        failures: Seconds at which it fails: its process ends at second n, or stops answering if the number is -n.
        failing_restarts: Number of restarts that fail.
        error: The error that these restarts raise.
    """

    def __init__(
        self, clock: Clock, failures: list[float], failing_restarts: int = 0, error: type[LocalStackError] = LocalStackError
    ) -> None:
        self.process: ManagedProcess = Process(self._runs)
        self._clock = clock
        self._failures = failures
        self._failing_restarts = failing_restarts
        self._error = error
        self.restarted_at: list[float] = []

    def _runs(self) -> bool:
        return not (self._failures and self._clock.now >= self._failures[0] >= 0)

    async def failure(self) -> str | None:
        return "silent" if self._failures and self._clock.now >= -self._failures[0] > 0 else None

    async def restart(self) -> None:
        self.restarted_at.append(self._clock.now)
        if self._failing_restarts:
            self._failing_restarts -= 1
            raise self._error("port taken")
        self._failures.pop(0)


def supervise(name: str, service: Service, clock: Clock, events: list[StackEvent]) -> Supervisor:
    return Supervisor(name, service, events.append, health_check=service.failure, policy=POLICY, clock=clock.time, sleep=clock.sleep)


async def run(service: Service, clock: Clock) -> list[StackEvent]:
    events: list[StackEvent] = []
    supervisor = supervise("triton", service, clock, events)
    with pytest.raises(EndOfTestError):
        await supervisor.run()
    return events


async def test_a_service_that_ends_is_restarted_at_once() -> None:
    clock = Clock(30)
    service = Service(clock, [4.5])
    events = await run(service, clock)
    assert service.restarted_at == [5.0]
    assert [(event.state, event.detail, event.restarts) for event in events] == [
        (ServiceState.RESTARTING, "its process ended", 1),
        (ServiceState.RESTARTED, "its process ended", 1),
    ]


async def test_a_service_that_stops_answering_is_restarted() -> None:
    clock = Clock(30)
    service = Service(clock, [-7.5])
    events = await run(service, clock)
    assert service.restarted_at == [8.0]
    assert events[0].detail == "silent"


async def test_failed_restarts_are_repeated_after_growing_delays() -> None:
    clock = Clock(30)
    service = Service(clock, [4.5], failing_restarts=2)
    events = await run(service, clock)
    assert service.restarted_at == [5.0, 5.5, 6.5]
    assert [event.state for event in events] == [ServiceState.RESTARTING] * 3 + [ServiceState.RESTARTED]


async def test_a_service_that_fails_too_often_is_given_up() -> None:
    clock = Clock(1000)
    service = Service(clock, [1.0, 10.0, 20.0, 30.0])
    events: list[StackEvent] = []
    supervisor = supervise("triton", service, clock, events)
    with pytest.raises(LocalStackError, match="triton failed 4 times in 60 s"):
        await supervisor.run()
    assert supervisor.restarts == 3
    assert events[-1].state is ServiceState.FAILED


async def test_old_restarts_do_not_count() -> None:
    clock = Clock(400)
    service = Service(clock, [1.0, 50.0, 100.0, 150.0, 200.0, 250.0, 300.0])
    await run(service, clock)
    assert len(service.restarted_at) == 7


async def test_a_service_that_cannot_come_back_is_restarted_only_once() -> None:
    clock = Clock(1000)
    service = Service(clock, [1.0], failing_restarts=9, error=ServiceLostError)
    events: list[StackEvent] = []
    supervisor = supervise("kafka", service, clock, events)
    with pytest.raises(ServiceLostError):
        await supervisor.run()
    assert len(service.restarted_at) == 1
    assert [event.state for event in events] == [ServiceState.RESTARTING, ServiceState.FAILED]
