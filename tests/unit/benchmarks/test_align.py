"""The benchmark of the aligner feeds the same media to every session and reports the measured cost."""

from __future__ import annotations

import pytest

from benchmarks.align import SECONDS_PER_BATCH, WARM_UP_S, measure, open_sessions, play


@pytest.mark.parametrize("count", [1, 3, SECONDS_PER_BATCH + 1])
def test_every_session_gets_every_second_in_order(count: int) -> None:
    sessions = open_sessions(count)
    assert play(sessions, 0, WARM_UP_S) > 0
    assert {aligner.accepted for aligner, _ in sessions} == {3 * WARM_UP_S}
    assert len({aligner.held for aligner, _ in sessions}) == 1


def test_growth_is_relative_to_the_fewest_sessions() -> None:
    measured = measure((1, 4), rounds=1, chunks_per_round=24)
    assert measured[1].growth == 1
    assert measured[4].growth == pytest.approx(measured[4].us_per_chunk / measured[1].us_per_chunk)
    assert 2000 < measured[4].bytes_per_session < 20_000
