from __future__ import annotations

from stream.align.caught_up_clock import MAX_STEP_MS, CaughtUpClock


def test_time_counts_between_ticks_at_which_everything_has_been_read() -> None:
    clock = CaughtUpClock(lambda: 0)
    caught_up = []
    for until in (100, 200, None, None, 9100, 9200):
        clock.tick(until)
        caught_up.append(clock.caught_up_ms)
    assert caught_up == [0, 100, 100, 100, 100, 200]


def test_time_after_the_last_answer_does_not_count_when_the_answers_stop() -> None:
    """The broker answers last at 1000 and dies, which is noticed 1100 ms later. None of that time was silence."""
    now = [0]
    clock = CaughtUpClock(lambda: now[0])
    for now[0], until in ((500, 500), (1000, 1000), (1500, 1000), (2000, 1000), (2100, None)):
        clock.tick(until)
    assert clock.caught_up_ms == 500


def test_arrivals_between_two_answers_are_stamped_later_than_the_first_answer() -> None:
    now = [1000]
    clock = CaughtUpClock(lambda: now[0])
    clock.tick(1000)
    now[0] = 1080
    assert clock() == 80
    assert clock.caught_up_ms == 0
    clock.tick(1050)
    assert clock() == 80
    assert clock.caught_up_ms == 50


def test_at_most_one_step_counts_for_a_worker_that_stood_still() -> None:
    clock = CaughtUpClock(lambda: 60_000)
    clock.tick(0)
    assert clock() == MAX_STEP_MS
    clock.tick(60_000)
    assert clock.caught_up_ms == MAX_STEP_MS


def test_a_wall_clock_that_goes_back_does_not_turn_the_time_back() -> None:
    clock = CaughtUpClock(lambda: 0)
    clock.tick(5000)
    clock.tick(0)
    clock.tick(5000)
    assert clock.caught_up_ms == 0
