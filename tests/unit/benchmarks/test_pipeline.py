"""The search for the largest number of sessions."""

from __future__ import annotations

import pytest

from benchmarks.pipeline import CLOSE_ENOUGH, next_sessions


@pytest.mark.parametrize("largest", [0, 1, 5, 79, 80, 111, 112, 130, 156, 900])
def test_the_search_ends_closely_below_the_largest_possible_number(largest: int) -> None:
    best = 0
    bad: int | None = None
    tried: int | None = 80
    steps = 0
    while tried is not None:
        steps += 1
        if tried <= largest:
            best = tried
        else:
            bad = tried
        tried = next_sessions(best, bad)
    assert bad is not None
    assert best <= largest < bad
    assert bad <= max(best * CLOSE_ENOUGH, best + 1)
    assert steps <= 16
