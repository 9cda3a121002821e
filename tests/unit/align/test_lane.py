from __future__ import annotations

from msgspec import structs

from stream.align.lane import MAX_RUNS, RECENT, Lane, Novelty
from tests.unit.align.builders import chunk


def test_numbers_come_in_any_order_and_each_is_new_once() -> None:
    lane: Lane[str] = Lane(0)
    order = [5, 3, 4, 0, 9, 1, 2, 8, 6, 7]
    assert all(lane.note(chunk(seq), 0) is Novelty.NEW for seq in order)
    assert lane.complete(10, 0)
    assert not lane.complete(11, 0)
    assert all(lane.note(chunk(seq), 0) is Novelty.REPEATED for seq in order)


def test_gaps_in_the_numbering_cost_bounded_memory() -> None:
    lane: Lane[str] = Lane(0)
    for seq in range(0, 4 * MAX_RUNS, 2):
        lane.note(chunk(seq), 0)
        lane.remember(seq, chunk(seq).fingerprint)
    assert len(lane._runs) == 2 * MAX_RUNS
    assert len(lane._recent) == 2 * RECENT
    assert lane.note(chunk(4 * MAX_RUNS - 2), 0) is Novelty.REPEATED


def test_a_replay_is_complete_from_where_the_finals_end() -> None:
    lane: Lane[str] = Lane(0)
    for seq in (4, 5):
        lane.note(chunk(seq), 0)
    assert lane.complete(6, done_ms=4000)
    assert not lane.complete(6, done_ms=3999)


def test_a_repeat_does_not_count_as_a_sign_of_life() -> None:
    lane: Lane[str] = Lane(0)
    lane.note(chunk(0), 100)
    lane.note(chunk(0), 200)
    lane.note(structs.replace(chunk(0), digest=b"other"), 300)
    assert lane.last_sign == 100


def test_only_chunks_that_have_ended_are_let_go() -> None:
    lane: Lane[str] = Lane(0)
    for seq in (0, 2, 1):
        lane.hold(chunk(seq))
    assert [held.receipt for held in lane.release(2500)] == ["audio-0", "audio-1"]
    assert [held.receipt for held in lane.held] == ["audio-2"]


def test_numbers_that_meet_become_one_run() -> None:
    lane: Lane[str] = Lane(0)
    for seq in (7, 3, 5, 6, 4):
        lane.note(chunk(seq), 0)
    assert lane._runs == [3, 8]
