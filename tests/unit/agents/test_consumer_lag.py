"""A worker is caught up only on fresh evidence: old answers of the broker, and answers that are read late, do not count."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from stream.agents import consumer_lag as module
from stream.agents.consumer_lag import RETURN_S, ConsumerLag

TEXT = TP("chunks.text", 0)


class Clock:
    """Wall clock and monotonic clock, moved by the test."""

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
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def state(clock: Clock) -> Any:
    """aiokafka's state of the partition: ten records, all read, according to an answer of just now."""
    return SimpleNamespace(highwater=10, has_valid_position=True, timestamp=clock.now * 1000, position=10)


@pytest.fixture
def lag(state: Any) -> ConsumerLag:
    assignment = SimpleNamespace(state_value=lambda _tp: state)
    consumer = SimpleNamespace(_subscription=SimpleNamespace(subscription=SimpleNamespace(assignment=assignment)))
    app: Any = SimpleNamespace(consumer=SimpleNamespace(_thread=SimpleNamespace(_ensure_consumer=lambda: consumer)))
    lag = ConsumerLag(app, [TEXT.topic], stale_after_ms=1100)
    lag.on_assigned([TEXT])
    return lag


def answer(clock: Clock, state: Any, seconds: float) -> None:
    """Let time pass, at the end of which the broker answers."""
    clock.now += seconds
    state.timestamp = clock.now * 1000


def test_an_answer_counts_while_everything_has_been_read(lag: ConsumerLag, clock: Clock, state: Any) -> None:
    answer(clock, state, 0.1)
    assert lag.caught_up_until() == round(clock.now * 1000)
    state.highwater = 11
    assert lag.caught_up_until() is None


def test_after_an_outage_of_the_broker_no_answer_counts_for_a_while(lag: ConsumerLag, clock: Clock, state: Any) -> None:
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


def test_an_answer_from_before_the_process_was_frozen_does_not_count(lag: ConsumerLag, clock: Clock, state: Any) -> None:
    """A process that was frozen first reads old answers from its socket, and takes them for new."""
    answer(clock, state, 0.1)
    assert lag.caught_up_until() is not None
    answer(clock, state, 6.0)
    assert lag.caught_up_until() is None
    for _ in range(12):
        answer(clock, state, 0.1)
        caught_up = lag.caught_up_until()
    assert caught_up == round(clock.now * 1000)
