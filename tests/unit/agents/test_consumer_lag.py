"""Whether everything has been read: an old answer of the broker, or one that is read late, is no evidence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from stream.agents import consumer_lag as module
from stream.agents.consumer_lag import RETURN_S, ConsumerLag

TEXT = TP("chunks.text", 0)


class Clock:
    """Both clocks of the machine, turned by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def monotonic_ns(self) -> int:
        return round(self.now * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def state(clock: Clock) -> Any:
    """What aiokafka knows of the partition: ten records, all read, said just now."""
    return SimpleNamespace(highwater=10, has_valid_position=True, timestamp=clock.now * 1000, position=10)


@pytest.fixture
def lag(state: Any) -> ConsumerLag:
    assignment = SimpleNamespace(state_value=lambda _tp: state)
    consumer = SimpleNamespace(_subscription=SimpleNamespace(subscription=SimpleNamespace(assignment=assignment)))
    app: Any = SimpleNamespace(consumer=SimpleNamespace(_thread=SimpleNamespace(_ensure_consumer=lambda: consumer)))
    made = ConsumerLag(app, [TEXT.topic], stale_after_ms=1100)
    made.on_assigned([TEXT])
    return made


def answer(clock: Clock, state: Any, seconds: float) -> None:
    """Time passes, and the broker answers at its end."""
    clock.now += seconds
    state.timestamp = clock.now * 1000


def test_an_answer_counts_while_everything_has_been_read(lag: ConsumerLag, clock: Clock, state: Any) -> None:
    answer(clock, state, 0.1)
    assert lag.caught_up_until() == round(clock.now * 1000)
    state.highwater = 11
    assert lag.caught_up_until() is None


def test_after_a_broker_that_was_away_nothing_counts_for_a_while(lag: ConsumerLag, clock: Clock, state: Any) -> None:
    for _ in range(20):
        clock.now += 0.1
        caught_up = lag.caught_up_until()
    assert caught_up is None
    answer(clock, state, 0.1)
    assert lag.caught_up_until() is None
    for _ in range(round(RETURN_S / 0.1)):
        answer(clock, state, 0.1)
        caught_up = lag.caught_up_until()
    assert caught_up == round(clock.now * 1000)


def test_an_answer_from_before_this_process_stood_still_is_not_what_the_broker_says_now(lag: ConsumerLag, clock: Clock, state: Any) -> None:
    """A stopped process that goes on first reads what lay in its socket, and takes it for new."""
    answer(clock, state, 0.1)
    assert lag.caught_up_until() is not None
    answer(clock, state, 6.0)
    assert lag.caught_up_until() is None
    for _ in range(12):
        answer(clock, state, 0.1)
        caught_up = lag.caught_up_until()
    assert caught_up == round(clock.now * 1000)
