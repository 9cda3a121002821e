from __future__ import annotations

import pytest

from stream.aio.backoff import Backoff
from stream.local.errors import LocalStackError, PartLostError
from stream.local.events import Change, StackEvent
from stream.local.supervisor import Patience, Supervisor

PATIENCE = Patience(interval_s=1.0, restarts=3, period_s=60.0, backoff=Backoff(first_s=0.5, cap_s=8.0, jitter=0.0))


class Enough(Exception):
    """Virtual time is over."""


class Clock:
    """Virtual seconds that pass only while somebody sleeps."""

    def __init__(self, until: float) -> None:
        self.now = 0.0
        self._until = until

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now > self._until:
            raise Enough


class Part:
    """Falls sick or dies at given times; a restart takes a while and may fail."""

    def __init__(
        self, clock: Clock, troubles: list[float], failing_restarts: int = 0, error: type[LocalStackError] = LocalStackError
    ) -> None:
        self._clock = clock
        self._troubles = troubles
        self._failing = failing_restarts
        self._error = error
        self.restarted_at: list[float] = []

    @property
    def alive(self) -> bool:
        return not (self._troubles and self._clock.now >= self._troubles[0] >= 0)

    async def sick(self) -> str | None:
        return "silent" if self._troubles and self._clock.now >= -self._troubles[0] > 0 else None

    async def restart(self) -> None:
        self.restarted_at.append(self._clock.now)
        if self._failing:
            self._failing -= 1
            raise self._error("port taken")
        self._troubles.pop(0)


async def watch(part: Part, clock: Clock) -> list[StackEvent]:
    events: list[StackEvent] = []
    supervisor = Supervisor("triton", part, events.append, patience=PATIENCE, clock=clock.time, sleep=clock.sleep)
    with pytest.raises(Enough):
        await supervisor.run()
    return events


async def test_a_dead_part_is_restarted_at_once() -> None:
    clock = Clock(30)
    part = Part(clock, [4.5])
    events = await watch(part, clock)
    assert part.restarted_at == [5.0]
    assert [(e.change, e.detail, e.restarts) for e in events] == [
        (Change.RESTARTING, "its process ended", 1),
        (Change.RESTARTED, "its process ended", 1),
    ]


async def test_a_silent_part_is_restarted() -> None:
    clock = Clock(30)
    part = Part(clock, [-7.5])
    events = await watch(part, clock)
    assert part.restarted_at == [8.0]
    assert events[0].detail == "silent"


async def test_restarts_that_fail_are_repeated_after_longer_delays() -> None:
    clock = Clock(30)
    part = Part(clock, [4.5], failing_restarts=2)
    events = await watch(part, clock)
    assert part.restarted_at == [5.0, 5.5, 6.5]
    assert [event.change for event in events] == [Change.RESTARTING] * 3 + [Change.RESTARTED]


async def test_too_many_restarts_are_given_up() -> None:
    clock = Clock(1000)
    part = Part(clock, [1.0, 10.0, 20.0, 30.0])
    events: list[StackEvent] = []
    supervisor = Supervisor("triton", part, events.append, patience=PATIENCE, clock=clock.time, sleep=clock.sleep)
    with pytest.raises(LocalStackError, match="triton failed 4 times in 60 s"):
        await supervisor.run()
    assert supervisor.restarts == 3
    assert events[-1].change is Change.FAILED


async def test_old_restarts_are_forgiven() -> None:
    clock = Clock(400)
    part = Part(clock, [1.0, 50.0, 100.0, 150.0, 200.0, 250.0, 300.0])
    await watch(part, clock)
    assert len(part.restarted_at) == 7


async def test_a_part_that_cannot_come_back_is_not_tried_again() -> None:
    clock = Clock(1000)
    part = Part(clock, [1.0], failing_restarts=9, error=PartLostError)
    events: list[StackEvent] = []
    supervisor = Supervisor("kafka", part, events.append, patience=PATIENCE, clock=clock.time, sleep=clock.sleep)
    with pytest.raises(PartLostError):
        await supervisor.run()
    assert len(part.restarted_at) == 1
    assert [event.change for event in events] == [Change.RESTARTING, Change.FAILED]
