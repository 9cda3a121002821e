from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec import structs

from stream.align.modality_state import MAX_RANGES, RECENT, ModalityState, Novelty
from tests.unit.align.builders import chunk


def test_numbers_arrive_in_any_order_and_each_is_new_once() -> None:
    state: ModalityState[str] = ModalityState(0)
    order = [5, 3, 4, 0, 9, 1, 2, 8, 6, 7]
    assert all(state.register(chunk(seq), 0) is Novelty.NEW for seq in order)
    assert state.is_complete(10, 0)
    assert not state.is_complete(11, 0)
    assert all(state.register(chunk(seq), 0) is Novelty.REPEATED for seq in order)


def test_gaps_between_numbers_use_bounded_memory() -> None:
    state: ModalityState[str] = ModalityState(0)
    for seq in range(0, 4 * MAX_RANGES, 2):
        state.register(chunk(seq), 0)
        state.keep_fingerprint(seq, chunk(seq).fingerprint)
    assert len(state._ranges) == 2 * MAX_RANGES
    assert len(state._recent) == 2 * RECENT
    assert state.register(chunk(4 * MAX_RANGES - 2), 0) is Novelty.REPEATED


def test_a_replay_is_complete_without_the_chunks_that_were_final_before() -> None:
    state: ModalityState[str] = ModalityState(0)
    for seq in (4, 5):
        state.register(chunk(seq), 0)
    assert state.is_complete(6, done_ms=4000)
    assert not state.is_complete(6, done_ms=3999)


@pytest.mark.parametrize("numbers", [range(5), range(1, 6), range(1000, 1005), range(0, 15, 3), (7, 3, 90, 4, 5)])
def test_a_modality_is_complete_when_as_many_chunks_have_arrived_whatever_their_numbers(numbers: Sequence[int]) -> None:
    state: ModalityState[str] = ModalityState(0)
    for place, number in enumerate(numbers):
        assert not state.is_complete(5, done_ms=0, media_ms=5000)
        state.register(chunk(number, start_ms=place * 1000), 0)
        state.register(chunk(number, start_ms=place * 1000), 0)
    assert state.is_complete(5, done_ms=0, media_ms=5000)


def test_a_replay_of_numbers_from_1_is_complete_with_the_last_of_them() -> None:
    state: ModalityState[str] = ModalityState(0)
    for number in (5, 6, 7):
        state.register(chunk(number, start_ms=number * 1000 - 1000), 0)
        assert state.is_complete(7, done_ms=4000, media_ms=7000) == (number == 7)


def test_a_repeat_does_not_count_as_activity() -> None:
    state: ModalityState[str] = ModalityState(0)
    state.register(chunk(0), 100)
    state.register(chunk(0), 200)
    state.register(structs.replace(chunk(0), digest=b"other"), 300)
    assert state.last_seen == 100


def test_only_chunks_that_have_ended_are_released() -> None:
    state: ModalityState[str] = ModalityState(0)
    for seq in (0, 2, 1):
        state.hold(chunk(seq), seq * 1000, seq * 1000 + 1000)
    assert [held.ack for held in state.release(2500)] == ["audio-0", "audio-1"]
    assert [held.ack for held in state.held] == ["audio-2"]


def test_adjacent_ranges_of_numbers_are_merged() -> None:
    state: ModalityState[str] = ModalityState(0)
    for seq in (7, 3, 5, 6, 4):
        state.register(chunk(seq), 0)
    assert state._ranges == [3, 8]
