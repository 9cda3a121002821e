from __future__ import annotations

import pytest

from stream.produce.pacer import Pacer, parse_speed
from tests.fakes.clock import FakeClock

START_MS = 1_700_000_000_000


def _pacer(speed: float | None, clock: FakeClock, duration_ms: int | None = 5000) -> Pacer:
    return Pacer(speed, duration_ms, clock.wait, clock.now_ms, clock.monotonic)


def test_at_live_pace_a_chunk_is_due_when_its_last_sample_is_captured() -> None:
    clock = FakeClock()
    pacer = _pacer(1.0, clock)
    for due_ms in (1000, 1000, 2000):
        assert pacer.wait_until(due_ms)
        assert clock.now_ms() == START_MS + due_ms == pacer.captured_ms(due_ms)


def test_a_slow_sender_catches_up_without_waiting() -> None:
    clock = FakeClock()
    pacer = _pacer(1.0, clock)
    clock.seconds = 3.5
    assert pacer.wait_until(1000)
    assert clock.waits == [0.0]
    assert pacer.captured_ms(1000) == START_MS + 1000


def test_double_speed_halves_the_waits() -> None:
    clock = FakeClock()
    pacer = _pacer(2.0, clock)
    assert pacer.wait_until(3000)
    assert clock.seconds == 1.5


@pytest.mark.parametrize("speed", [0.5, 2.0, 8.0])
def test_at_any_speed_capture_times_keep_their_distances_and_never_lie_in_the_future(speed: float) -> None:
    clock = FakeClock()
    pacer = _pacer(speed, clock, duration_ms=240_000)
    first = pacer.captured_ms(0)
    for media_ms in range(0, 240_001, 1000):
        pacer.wait_until(media_ms)
        assert pacer.captured_ms(media_ms) == first + media_ms <= clock.now_ms() + 1


def test_capture_times_at_max_speed_lie_in_the_past_and_keep_their_distances() -> None:
    clock = FakeClock()
    pacer = _pacer(None, clock)
    assert pacer.wait_until(4000)
    assert clock.seconds == 0.0
    assert pacer.captured_ms(5000) == START_MS
    assert pacer.captured_ms(4000) == START_MS - 1000


@pytest.mark.parametrize("speed", [1.0, None])
def test_a_stop_ends_the_wait(speed: float | None) -> None:
    clock = FakeClock(stop_at_s=0.0)
    assert not _pacer(speed, clock).wait_until(1000)


@pytest.mark.parametrize(("text", "speed"), [("1.0", 1.0), ("2", 2.0), ("MAX", None), ("0.5", 0.5)])
def test_speed_is_parsed(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast", "", "1e9"])
def test_other_speeds_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="or max"):
        parse_speed(text)
