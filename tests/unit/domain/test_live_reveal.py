"""The sums of probes add up, whatever the order of workers and hours."""

from __future__ import annotations

import numpy as np
import pytest

from stream.domain.live_reveal import LiveHour, LiveSums, added_up


def sums_of(values: list[float]) -> LiveSums:
    found = LiveSums()
    for value in values:
        found = found.plus(LiveSums(1, value, value**2, value / 2, int(value > 1)))
    return found


def test_mean_and_standard_error_are_those_of_the_values() -> None:
    values = [0.1, -0.4, 1.2, 0.7, 0.0]
    found = sums_of(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.error == pytest.approx(np.std(values, ddof=1) / np.sqrt(len(values)))
    assert (found.windows, found.moved) == (5, 1)


@pytest.mark.parametrize("values", [[], [0.3], [0.3, 0.3, 0.3]])
def test_few_or_equal_values_have_no_error(values: list[float]) -> None:
    assert sums_of(values).error == pytest.approx(0.0, abs=1e-6)


def test_hours_of_several_workers_add_up() -> None:
    first = LiveHour(10, 2, {"1": {"hiss": sums_of([0.5, 0.25])}})
    second = LiveHour(11, 1, {"1": {"hiss": sums_of([1.5])}, "2": {"hiss": sums_of([3.0])}})
    assert added_up([first, second]) == added_up([second, first])
    assert added_up([first, second])["1", "hiss"] == sums_of([0.5, 0.25, 1.5])
    assert added_up([first, second])["2", "hiss"].windows == 1
    assert added_up([]) == {}
