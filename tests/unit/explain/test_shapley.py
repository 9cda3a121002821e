"""Shapley values satisfy their axioms and agree with the definition by orders of arrival."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.domain.features import Floats
from stream.domain.inference import COALITIONS, CONTEXT_BIT, EVERYTHING
from stream.domain.modality import MODALITIES, Modality
from stream.explain.rounding import apportion, rounded
from stream.explain.shapley import Contributions, coalition, restricted, shapley_values

scores = st.lists(st.floats(-3, 3, width=32), min_size=COALITIONS, max_size=COALITIONS).map(lambda s: np.array(s, np.float32))


def by_permutations(values: Floats) -> list[float]:
    """Shapley values of text, audio, video and the earlier windows."""
    bits = [*(m.bit for m in MODALITIES), CONTEXT_BIT]
    total = dict.fromkeys(bits, 0.0)
    orders = list(permutations(bits))
    for order in orders:
        joined = 0
        for bit in order:
            total[bit] += float(values[joined | bit]) - float(values[joined])
            joined |= bit
    return [amount / len(orders) for amount in total.values()]


def listed(contributions: Contributions) -> list[float]:
    return [*contributions.modalities.values(), contributions.earlier_windows]


@given(scores)
def test_agrees_with_the_mean_over_orders_of_arrival(values: Floats) -> None:
    assert listed(shapley_values(values)) == pytest.approx(by_permutations(values), abs=1e-5)


@given(scores)
def test_contributions_and_the_base_add_up_to_the_score(values: Floats) -> None:
    assert float(values[0]) + sum(listed(shapley_values(values))) == pytest.approx(float(values[EVERYTHING]), abs=1e-5)


@given(scores)
def test_absent_players_contribute_exactly_nothing(values: Floats) -> None:
    limited = restricted(values, (Modality.TEXT, Modality.VIDEO), has_context=False)
    assert shapley_values(limited).modalities[Modality.AUDIO] == shapley_values(limited).earlier_windows == 0.0
    assert limited[EVERYTHING] == values[coalition((Modality.TEXT, Modality.VIDEO))]
    assert restricted(values, MODALITIES, has_context=True) == tuple(values.tolist())


def test_modalities_with_equal_effects_get_equal_contributions() -> None:
    values = np.array([0, 1, 1, 3, 0.5, 1.5, 1.5, 2.5] * 2, np.float32)
    contributions = shapley_values(values).modalities
    assert contributions[Modality.TEXT] == pytest.approx(contributions[Modality.AUDIO])
    assert contributions[Modality.TEXT] != pytest.approx(contributions[Modality.VIDEO])


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=5))
def test_rounded_parts_add_up_to_the_rounded_total(values: list[float]) -> None:
    total = sum(values)
    parts = apportion(values, total)
    assert round(sum(parts), 4) == rounded(total)
    assert max(abs(a - b) for a, b in zip(parts, values, strict=True)) <= 1.01e-4


def test_minus_zero_is_zero() -> None:
    assert str(rounded(-0.00001)) == "0.0"
    assert [str(part) for part in apportion([-0.00001, 0.00001], 0.0)] == ["0.0", "0.0"]
