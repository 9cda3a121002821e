from __future__ import annotations

from stream.agents.worker_state import STUCK_S, WorkerState


def test_a_worker_is_ready_once_it_has_its_partitions() -> None:
    state = WorkerState()
    assert state.why_not_ready(0.0) == {"kafka": "no partitions are assigned"}
    assert state.why_not_live(1e9) == {}
    state.partitions = 24
    assert state.why_not_ready(0.0) == {}


def test_a_spare_worker_without_partitions_is_ready_to_take_over() -> None:
    assert WorkerState(partitions=0).why_not_ready(0.0) == {}


def test_a_draining_worker_is_live_but_not_ready() -> None:
    state = WorkerState(partitions=24, draining=True)
    assert state.why_not_ready(0.0) == {"worker": "draining"}
    assert state.why_not_live(0.0) == {}


def test_a_worker_with_a_stuck_consumer_thread_is_neither_live_nor_ready() -> None:
    state = WorkerState(partitions=24)
    state.on_consumer_turn(lambda: 100.0)
    assert state.why_not_live(100.0 + STUCK_S) == {}
    assert list(state.why_not_live(101.0 + STUCK_S)) == ["consumer"]
    assert list(state.why_not_ready(101.0 + STUCK_S)) == ["consumer"]
    state.on_consumer_turn(lambda: 200.0)
    assert state.why_not_ready(201.0) == {}
