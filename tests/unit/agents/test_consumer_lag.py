"""A worker is caught up only on fresh evidence: old answers of the broker, and answers that are read late, do not count."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from stream.agents import consumer_lag as module
from stream.agents.consumer_lag import OPEN_TRANSACTION_S, RETURN_S, ConsumerLag
from stream.agents.faust_patches.commits import ReadTo

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
    return SimpleNamespace(highwater=10, lso=10, has_valid_position=True, timestamp=clock.now * 1000, position=10, last_offset=-1)


@pytest.fixture
def lag(state: Any) -> ConsumerLag:
    assignment = SimpleNamespace(state_value=lambda _tp: state)
    consumer = SimpleNamespace(_subscription=SimpleNamespace(subscription=SimpleNamespace(assignment=assignment)))
    read_to = SimpleNamespace(get=lambda _tp: ReadTo(state.position, state.last_offset))
    app: Any = SimpleNamespace(consumer=SimpleNamespace(_thread=SimpleNamespace(_ensure_consumer=lambda: consumer, read_to=read_to)))
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
    state.highwater = state.lso = 11
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


def test_a_record_that_was_fetched_and_not_processed_counts_as_unread(lag: ConsumerLag, clock: Clock, state: Any) -> None:
    state.last_offset = 9
    answer(clock, state, 0.1)
    assert lag.caught_up_until() is None
    lag.on_read(TEXT, 8)
    assert lag.caught_up_until() is None
    lag.on_read(TEXT, 9)
    assert lag.caught_up_until() == round(clock.now * 1000)


def test_records_that_were_not_processed_are_counted(lag: ConsumerLag, state: Any) -> None:
    assert lag.records_behind == 0
    state.highwater, state.last_offset = 25, 9
    lag.on_read(TEXT, 7)
    assert lag.records_behind == 25 - 8
    lag.on_revoked()
    assert lag.records_behind == 0


def test_the_marker_of_a_transaction_at_the_end_leaves_nothing_to_read(lag: ConsumerLag, clock: Clock, state: Any) -> None:
    """Offset 9 is the last record, 10 and 11 are markers: the position is behind them, and no record of theirs will ever be processed."""
    state.highwater = state.lso = state.position = 12
    state.last_offset = 9
    lag.on_read(TEXT, 9)
    answer(clock, state, 0.1)
    assert lag.caught_up_until() == round(clock.now * 1000)


def test_quiet_behind_an_open_transaction_is_no_silence(lag: ConsumerLag, clock: Clock, state: Any) -> None:
    answer(clock, state, 0.1)
    opened_at = pytest.approx(lag.caught_up_until(), abs=1)
    state.highwater = 11
    for _ in range(round(OPEN_TRANSACTION_S / 0.1)):
        answer(clock, state, 0.1)
        assert lag.caught_up_until() == opened_at
    assert lag.check_transactions() is None
    state.highwater = 40
    answer(clock, state, 0.2)
    assert lag.caught_up_until() == opened_at
    assert lag.check_transactions() == (
        "a producer has left a transaction open in chunks.text/0: nothing behind it can be read until it is committed or aborted"
    )
    state.lso = state.position = 40
    answer(clock, state, 0.1)
    assert lag.caught_up_until() == round(clock.now * 1000)
    assert lag.check_transactions() is None


def test_transactions_one_after_the_other_leave_the_silence_of_others_visible(lag: ConsumerLag, clock: Clock, state: Any) -> None:
    """At every check a transaction is open, but never the same for longer than half a second."""
    answer(clock, state, 0.1)
    lag.caught_up_until()
    for _ in range(100):
        for _ in range(5):
            state.highwater += 1
            answer(clock, state, 0.1)
            caught_up = lag.caught_up_until()
            assert caught_up is not None
            assert clock.now * 1000 - caught_up <= 1100
        state.lso = state.position = state.highwater - 1
    assert lag.check_transactions() is None


def test_a_partition_that_begins_behind_an_open_transaction_is_not_caught_up(lag: ConsumerLag, clock: Clock, state: Any) -> None:
    state.highwater = 20
    answer(clock, state, 0.1)
    assert lag.caught_up_until() is None
    state.lso = -1  # a broker without transactions
    state.position = 20
    answer(clock, state, 0.1)
    assert lag.caught_up_until() == round(clock.now * 1000)


def test_a_wall_clock_that_is_set_forward_makes_no_record_old(
    clock: Clock, state: Any, lag: ConsumerLag, monkeypatch: pytest.MonkeyPatch
) -> None:
    lag.caught_up_until()
    state.highwater = state.lso = 12
    answer(clock, state, 0.5)
    monkeypatch.setattr(clock, "time", lambda: clock.now + 3600)
    lag.caught_up_until()
    assert lag.unread_ms <= 500


def test_the_age_of_the_oldest_unread_record_counts_from_the_first_answer_that_shows_it(clock: Clock, state: Any, lag: ConsumerLag) -> None:
    lag.caught_up_until()
    assert lag.unread_ms == 0
    state.highwater = state.lso = 12
    answer(clock, state, 0.5)
    lag.caught_up_until()
    state.highwater = state.lso = 20
    answer(clock, state, 3.0)
    lag.caught_up_until()
    assert lag.unread_ms == 3000
    assert clock.now * 1000 - lag.known_at_ms(TEXT, 11) == 3000
    assert clock.now * 1000 - lag.known_at_ms(TEXT, 12) == 0
    state.position, state.last_offset = 12, 11
    lag.on_read(TEXT, 11)
    clock.now += 2
    assert lag.unread_ms == 2000
    lag.on_assigned([TEXT])
    assert lag.unread_ms == 0
