from __future__ import annotations

from stream.align.clock import MAX_STEP_MS, ListeningClock


def test_time_counts_between_ticks_that_hear_everything() -> None:
    clock = ListeningClock(lambda: 0)
    heard = []
    for until in (100, 200, None, None, 9100, 9200):
        clock.tick(until)
        heard.append(clock.heard_ms)
    assert heard == [0, 100, 100, 100, 100, 200]


def test_only_what_was_heard_counts_when_the_answers_stop() -> None:
    """The broker answered last at 1000 and dies; that it is away is noticed 1100 ms later. None of that was silence."""
    now = [0]
    clock = ListeningClock(lambda: now[0])
    for now[0], until in ((500, 500), (1000, 1000), (1500, 1000), (2000, 1000), (2100, None)):
        clock.tick(until)
    assert clock.heard_ms == 500


def test_what_comes_between_two_answers_comes_later_than_the_first() -> None:
    now = [1000]
    clock = ListeningClock(lambda: now[0])
    clock.tick(1000)
    now[0] = 1080
    assert clock() == 80
    assert clock.heard_ms == 0
    clock.tick(1050)
    assert clock() == 80
    assert clock.heard_ms == 50


def test_a_worker_that_stood_still_has_heard_nothing() -> None:
    clock = ListeningClock(lambda: 60_000)
    clock.tick(0)
    assert clock() == MAX_STEP_MS
    clock.tick(60_000)
    assert clock.heard_ms == MAX_STEP_MS


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    clock = ListeningClock(lambda: 0)
    clock.tick(5000)
    clock.tick(0)
    clock.tick(5000)
    assert clock.heard_ms == 0
