"""Explainers that only ask for scores: on games whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from stream.explain.methods.combined import unit_mass
from stream.explain.methods.perturbation import (
    RandomRelevance,
    greedy_deletion,
    greedy_insertion,
    greedy_order,
    leave_one_out,
    occlusion,
)
from stream.explain.methods.value import Explainer, Game, node_mask
from tests.fakes.games import additive, pair, small_window

pytestmark = pytest.mark.unit

WEIGHTS = np.array([0.5, -0.2, 0.0, 1.0, 0.1, 0.0, -0.4, 0.3, 0.05], np.float32)
WINDOW = small_window()
NODES = np.flatnonzero(node_mask(WINDOW))


def test_a_node_is_removed_by_its_mask_alone() -> None:
    kept = np.ones(9, np.bool_)
    kept[[1, 5]] = False
    without = Game(WINDOW, additive(WEIGHTS)).window(kept)
    assert without.word_mask.tolist() == [1, 0, 1, 1, 0, 0, 0, 0]
    assert without.audio_mask.tolist() == [1, 0, 1] + [0] * 7
    assert without.words is WINDOW.words
    assert without.past_mask is WINDOW.past_mask


@pytest.mark.parametrize("explainer", [occlusion, leave_one_out])
def test_what_adds_up_is_given_back(explainer: Explainer) -> None:
    relevance = explainer(WINDOW, additive(WEIGHTS, base=0.7))
    assert relevance[NODES] == pytest.approx(WEIGHTS, abs=1e-6)
    assert np.delete(relevance, NODES) == pytest.approx(0.0)


def test_occlusion_gives_a_pair_to_both_and_leaving_in_halves_it() -> None:
    assert occlusion(WINDOW, pair(0, 6))[NODES].tolist() == [1, 0, 0, 0, 0, 0, 1, 0, 0]
    assert leave_one_out(WINDOW, pair(0, 6))[NODES].tolist() == [0.5, 0, 0, 0, 0, 0, 0.5, 0, 0]


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("oracle", [greedy_deletion, greedy_insertion])
def test_an_oracle_ranks_by_weight_in_the_direction_of_the_score(oracle: Explainer, sign: float) -> None:
    relevance = sign * oracle(WINDOW, additive(sign * WEIGHTS))[NODES]
    assert np.argsort(-relevance, kind="stable").tolist() == np.argsort(-WEIGHTS, kind="stable").tolist()


def test_the_worst_order_is_the_best_backwards_where_nodes_add_up() -> None:
    distinct = np.array([0.5, -0.2, 0.02, 1.0, 0.1, -0.01, -0.4, 0.3, 0.05], np.float32)
    game = Game(WINDOW, additive(distinct))
    best, worst = (greedy_order(game, insertion=False, best=best).tolist() for best in (True, False))
    assert best == worst[::-1]


def test_a_greedy_search_stops_after_its_steps() -> None:
    order = greedy_order(Game(WINDOW, additive(WEIGHTS)), insertion=False, best=True, steps=2)
    assert order.tolist() == [3, 0, 1, 2, 4, 5, 6, 7, 8]


def test_random_numbers_depend_on_seed_and_window_alone() -> None:
    one = RandomRelevance(1)(WINDOW, additive(WEIGHTS))
    assert np.array_equal(one, RandomRelevance(1)(WINDOW, pair(0, 1)))
    assert not np.array_equal(one, RandomRelevance(2)(WINDOW, additive(WEIGHTS)))


def test_the_unit_of_a_method_does_not_count() -> None:
    one = unit_mass(WEIGHTS)
    assert float(np.abs(one).sum()) == pytest.approx(1.0)
    assert unit_mass(1000 * WEIGHTS) == pytest.approx(one, abs=1e-6)


def test_relevance_of_zeros_has_no_mass() -> None:
    assert unit_mass(np.zeros(3, np.float32)).tolist() == [0, 0, 0]
