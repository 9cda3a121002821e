from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from stream.media.media_info import Problem
from stream.media.timeline import PacketTimes, Part, StreamTimes, TimelineBuilder

AUDIO, VIDEO = 0, 1
DAY_S = 24 * 3600.0
TICK_S = 0.5

Packet = tuple[int, float]


def _stream(stream: int, start_s: float, seconds: float) -> Iterator[Packet]:
    for tick in range(round(seconds / TICK_S)):
        yield stream, start_s + tick * TICK_S


def _both(start_s: float, seconds: float, audio_ahead_s: float = 0.0) -> Iterator[Packet]:
    for sound, picture in zip(_stream(AUDIO, start_s + audio_ahead_s, seconds), _stream(VIDEO, start_s, seconds), strict=True):
        yield picture
        yield sound


def _times(*packets: Iterator[Packet], origin_s: float | None = 0.0) -> Mapping[int, StreamTimes]:
    builder = TimelineBuilder()
    for part in packets:
        for stream, time_s in part:
            builder.add(stream, PacketTimes(time_s, TICK_S))
    return builder.build(origin_s)


def test_a_steady_clock_begins_where_the_container_says() -> None:
    times = _times(_both(1.4, 10, audio_ahead_s=0.1), origin_s=1.4)
    assert times[VIDEO] == StreamTimes((Part(0, -1.4),), 0, 10_000)
    assert times[AUDIO] == StreamTimes((Part(0, -1.4),), 100, 10_100)


def test_a_hold_keeps_its_time_and_is_a_gap() -> None:
    times = _times(_stream(AUDIO, 0, 5), _stream(AUDIO, 705, 5))[AUDIO]
    assert times == StreamTimes((Part(0, 0.0),), 0, 710_000, frozenset({Problem.LONG_GAP}))


def test_streams_that_start_again_together_stay_in_step_and_continue_where_the_longer_one_ended() -> None:
    times = _times(_both(100, 5, audio_ahead_s=0.25), _both(20, 5, audio_ahead_s=0.25), origin_s=100)
    # The sound ends at 5.25 s. The picture starts again first, at 20 s of the new clock.
    assert times[VIDEO].parts == (Part(0, -100.0), Part(10, 5.25 - 20))
    assert times[AUDIO].parts == (Part(0, -100.0), Part(10, 5.25 - 20))
    assert (times[VIDEO].end_ms, times[AUDIO].end_ms) == (10_250, 10_500)
    assert times[VIDEO].problems == times[AUDIO].problems == {Problem.CLOCK_RESTARTED}


def test_a_clock_that_starts_again_three_times_continues_each_time() -> None:
    times = _times(*(_both(0, 4) for _ in range(4)))
    assert [part.offset_s for part in times[AUDIO].parts] == [0.0, 4.0, 8.0, 12.0]
    assert times[VIDEO].end_ms == times[AUDIO].end_ms == 16_000


@pytest.mark.parametrize("jump_s", [2 * DAY_S, 8 * DAY_S, 400 * DAY_S])
def test_a_jump_of_days_is_a_broken_clock_and_what_follows_continues(jump_s: float) -> None:
    times = _times(_both(0, 5), _both(5 + jump_s, 5))
    assert times[AUDIO].end_ms == times[VIDEO].end_ms == 10_000
    assert times[AUDIO].problems == {Problem.CLOCK_JUMPED}


def test_pauses_that_add_up_to_more_than_a_session_are_not_believed() -> None:
    times = _times(*(_stream(AUDIO, day * 0.9 * DAY_S, 5) for day in range(10)))[AUDIO]
    assert times.end_ms <= 7 * DAY_S * 1000
    assert {Problem.CLOCK_JUMPED, Problem.LONG_GAP} <= times.problems


def test_a_stream_that_jumps_alone_while_another_goes_on_is_broken() -> None:
    def packets() -> Iterator[Packet]:
        yield from _both(0, 5)
        for sound, picture in zip(_stream(AUDIO, 2000, 5), _stream(VIDEO, 5, 5), strict=True):
            yield sound
            yield picture

    times = _times(packets())
    assert times[AUDIO].parts[1].offset_s == 5.0 - 2000
    assert (times[AUDIO].end_ms, times[VIDEO].end_ms) == (10_000, 10_000)
    assert times[AUDIO].problems == {Problem.CLOCK_JUMPED}
    assert not times[VIDEO].problems


def test_a_muted_sound_comes_back_at_its_time_while_the_picture_goes_on() -> None:
    times = _times(_both(0, 5), _stream(VIDEO, 5, 700), _both(705, 5))
    assert times[AUDIO] == StreamTimes((Part(0, 0.0),), 0, 710_000, frozenset({Problem.LONG_GAP}))
    assert times[VIDEO] == StreamTimes((Part(0, 0.0),), 0, 710_000)


def test_streams_that_are_stored_one_after_the_other_share_their_clock() -> None:
    times = _times(_stream(AUDIO, 0, 600), _stream(VIDEO, 0, 600))
    assert times[VIDEO] == StreamTimes((Part(0, 0.0),), 0, 600_000)
    stored_after = _times(_stream(AUDIO, 0, 5), _stream(AUDIO, 705, 5), _stream(VIDEO, 0, 710))
    assert stored_after[AUDIO].end_ms == 710_000


def test_a_camera_that_is_switched_on_later_keeps_its_time() -> None:
    times = _times(_stream(AUDIO, 0, 300), _both(300, 10))
    assert (times[VIDEO].start_ms, times[VIDEO].end_ms, times[VIDEO].problems) == (300_000, 310_000, frozenset())


def test_a_stream_with_a_clock_of_its_own_begins_with_the_others() -> None:
    times = _times(_both(0, 5, audio_ahead_s=30 * DAY_S))
    assert (times[AUDIO].start_ms, times[AUDIO].end_ms) == (0, 5_000)
    assert times[AUDIO].problems == {Problem.CLOCK_JUMPED}


def test_a_sound_that_starts_again_alone_continues_at_its_own_end() -> None:
    def packets() -> Iterator[Packet]:
        yield from _both(0, 5)
        for sound, picture in zip(_stream(AUDIO, 0, 15), _stream(VIDEO, 5, 15), strict=True):
            yield sound
            yield picture

    times = _times(packets())
    assert times[AUDIO].parts == (Part(0, 0.0), Part(10, 5.0))
    assert (times[AUDIO].end_ms, times[VIDEO].end_ms, times[VIDEO].problems) == (20_000, 20_000, frozenset())


def test_small_steps_back_and_packets_without_times_are_no_restart() -> None:
    builder = TimelineBuilder()
    for time_s in (None, 0.0, 0.5, 0.6, None, 1.6):
        builder.add(AUDIO, PacketTimes(time_s, TICK_S))
    times = builder.build()[AUDIO]
    assert times.parts == (Part(0, 0.0),)
    assert times.end_ms == 2_100


def test_a_clock_that_jumps_all_the_time_is_none() -> None:
    times = _times(*(_stream(AUDIO, start_s, 1) for _ in range(1_000) for start_s in (0, 1000)))[AUDIO]
    assert not times.has_clock
    assert times.problems == {Problem.CLOCK_JUMPED}


def test_a_stream_whose_clock_breaks_alone_is_not_moved_behind_a_longer_one() -> None:
    times = _times(_both(0, 5), _stream(VIDEO, 5, 5), _stream(AUDIO, 3 * DAY_S, 5))
    assert (times[AUDIO].end_ms, times[VIDEO].end_ms) == (10_000, 10_000)


def test_a_clock_that_stands_still_is_none() -> None:
    times = _times(_stream(VIDEO, 5, 10), iter([(AUDIO, 5.0)] * 20))
    assert times[AUDIO] == StreamTimes(end_ms=10_000, problems=frozenset({Problem.CLOCK_STOPPED}), has_clock=False)
    assert times[VIDEO].has_clock


def test_packets_that_share_a_time_while_the_clock_goes_on_are_no_standstill() -> None:
    times = _times(iter((AUDIO, pair * 2 * TICK_S) for pair in range(20) for _ in range(2)))[AUDIO]
    assert times == StreamTimes(end_ms=19_500)


def test_a_stream_without_times_lasts_as_long_as_its_packets() -> None:
    builder = TimelineBuilder()
    for _ in range(50):
        builder.add(VIDEO, PacketTimes(None, 0.04))
    assert builder.build()[VIDEO] == StreamTimes(end_ms=2_000, has_clock=False)
