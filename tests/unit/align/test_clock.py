from __future__ import annotations

from stream.align.clock import MAX_STEP_MS, ListeningClock


def test_time_counts_between_ticks_that_hear_everything() -> None:
    now = [0]
    clock = ListeningClock(lambda: now[0])
    heard = []
    for at, live in ((100, True), (200, True), (300, False), (9000, False), (9100, True), (9200, True)):
        now[0] = at
        clock.tick(live=live)
        heard.append(clock())
    assert heard == [0, 100, 100, 100, 100, 200]


def test_a_worker_that_stood_still_has_heard_nothing() -> None:
    now = [0]
    clock = ListeningClock(lambda: now[0])
    clock.tick(live=True)
    now[0] = 60_000
    clock.tick(live=True)
    assert clock() == MAX_STEP_MS


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    now = [5000]
    clock = ListeningClock(lambda: now[0])
    clock.tick(live=True)
    now[0] = 0
    clock.tick(live=True)
    assert clock() == 0
