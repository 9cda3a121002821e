"""Measures of explanations on games whose answer is known: the oracle wins, random numbers lose, noise makes it worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.domain.modality import Modality
from stream.explain.methods.perturbation import RandomRelevance, greedy_deletion, occlusion
from stream.explain.methods.value import Game, Value, node_mask
from stream.explain.quality.erasure import (
    Erasure,
    comprehensiveness,
    deletion_auc,
    insertion_auc,
    overshooting_sufficiency,
    sufficiency,
)
from stream.explain.quality.exchange import exchanged_drop
from stream.explain.quality.truth import hits, iou, relevance_mass, right_sign, right_word, says_something
from tests.fakes.games import additive, small_window

pytest.importorskip("scipy")

from stream.explain.quality.stability import agreement, max_sensitivity, shared_top
from stream.explain.quality.trust import NOISE_LEVELS, gini, judge, noisy

pytestmark = pytest.mark.unit

WINDOW = small_window()
NODES = np.flatnonzero(node_mask(WINDOW))
GAMES = 30


def random_games() -> list[Value]:
    rng = np.random.default_rng(0)
    return [additive(rng.normal(size=len(NODES)).astype(np.float32)) for _ in range(GAMES)]


@pytest.fixture(scope="module")
def games() -> list[tuple[Value, Erasure]]:
    return [(value, Erasure(WINDOW, value)) for value in random_games()]


ERASING = {
    "comprehensiveness": (comprehensiveness, True),
    "sufficiency": (sufficiency, True),
    "overshooting sufficiency": (overshooting_sufficiency, True),
    "deletion": (deletion_auc, False),
    "insertion": (insertion_auc, True),
}


@pytest.mark.parametrize("name", ERASING)
def test_measures_by_erasure_pass_their_own_check(name: str, games: list[tuple[Value, Erasure]]) -> None:
    measure, higher = ERASING[name]
    erasures = [erasure for _, erasure in games]
    rng = np.random.default_rng(1)
    truth = [occlusion(WINDOW, value) for value, _ in games]
    levels = [
        measure(erasures, [erasure.measure(noisy(r, WINDOW, level, rng)) for erasure, r in zip(erasures, truth, strict=True)])
        for level in NOISE_LEVELS
    ]
    better = levels if higher else [-level for level in levels]
    assert better == sorted(better, reverse=True)
    assert len(set(levels)) == len(levels)


def test_greedy_orders_are_the_ends_of_the_scale(games: list[tuple[Value, Erasure]]) -> None:
    erasures = [erasure for _, erasure in games]
    best = [erasure.measure(erasure.relevance_of(erasure.deletion_order)) for erasure in erasures]
    assert comprehensiveness(erasures, best) == pytest.approx(1.0)
    assert sufficiency(erasures, [e.measure(e.relevance_of(e.insertion_order)) for e in erasures]) == pytest.approx(1.0)
    assert comprehensiveness(erasures, [erasure.least_comprehensive for erasure in erasures]) == pytest.approx(0.0)
    assert sufficiency(erasures, [erasure.least_sufficient for erasure in erasures]) == pytest.approx(0.0)


def test_the_stored_order_is_that_of_the_oracle(games: list[tuple[Value, Erasure]]) -> None:
    value, erasure = games[0]
    assert erasure.relevance_of(erasure.deletion_order) == pytest.approx(greedy_deletion(WINDOW, value))


def test_more_than_the_score_is_not_more_than_sufficient() -> None:
    """Of +1, +1 and -1, one +1 alone gives the score; both give more, which only the unlimited measure rewards."""
    weights = np.zeros(len(NODES), np.float32)
    weights[[0, 1, 2]] = 1.0, 1.0, -1.0
    erasure = Erasure(WINDOW, additive(weights))
    both_first, mixed = (erasure.of_order(np.array([*first, *range(3, 9)])) for first in ((0, 1, 2), (0, 2, 1)))
    assert both_first.sufficiency == 0.0
    assert both_first.overshooting > 0.0
    assert mixed.overshooting < both_first.overshooting


def test_a_score_below_that_of_nothing_is_measured_downwards() -> None:
    weights = -np.arange(1, 10, dtype=np.float32)
    erasure = Erasure(WINDOW, additive(weights))
    assert erasure.sign == -1.0
    assert erasure.deletion_order.tolist() == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    good, bad = erasure.measure(occlusion(WINDOW, additive(weights))), erasure.measure(-occlusion(WINDOW, additive(weights)))
    assert good.comprehensiveness > bad.comprehensiveness


def marked(window: WindowInputs, word: int) -> WindowInputs:
    words = window.words.copy()
    words[word, 0] = 1.0
    return replace(window, words=words)


def reads_first_number(windows: Sequence[WindowInputs]) -> Floats:
    return np.array([float((inputs.words[:, 0] * inputs.word_mask).sum()) for inputs in windows], np.float32)


def test_exchange_of_the_node_that_carries_the_score_costs_the_score() -> None:
    window = marked(WINDOW, 2)
    donors = {Modality.TEXT: np.zeros((5, 384), np.float32), Modality.AUDIO: WINDOW.audio[:1], Modality.VIDEO: WINDOW.video[:1]}
    right, wrong = np.zeros(23, np.float32), np.zeros(23, np.float32)
    right[2], wrong[[0, 1, 3]], wrong[2] = 1.0, 1.0, -1.0
    assert exchanged_drop(window, right, reads_first_number, donors, seed=0) == pytest.approx(1.0)
    assert exchanged_drop(window, wrong, reads_first_number, donors, seed=0) == pytest.approx(0.0)


def test_words_are_judged_by_what_their_removal_did() -> None:
    effects = np.array([0.1, -0.8, 0.3], np.float32)
    assert right_word(np.array([0.0, 2.0, 1.0], np.float32), effects)
    assert not right_sign(np.array([0.0, 2.0, 1.0], np.float32), effects)
    assert right_sign(np.array([0.0, 0.1, 0.2], np.float32), effects)
    assert says_something(effects)
    assert not says_something(np.array([0.01, -0.04], np.float32))
    assert not says_something(np.array([0.9], np.float32))


def test_marks_are_found_by_size_of_either_sign() -> None:
    mask = np.array([False, True, True, False])
    relevance = np.array([0.1, -0.6, 0.2, 0.25], np.float32)
    assert hits(relevance, mask)
    assert relevance_mass(relevance, mask) == pytest.approx(0.8 / 1.15)
    assert iou(relevance, mask) == pytest.approx(1 / 3)
    assert iou(np.array([0, 1, 1, 0], np.float32), mask) == 1.0
    assert relevance_mass(np.zeros(4, np.float32), mask) == 0.0


def test_sensitivity_is_none_for_the_constant_and_high_for_the_random() -> None:
    rng = np.random.default_rng(0)
    window = replace(WINDOW, words=rng.normal(size=WINDOW.words.shape).astype(np.float32))
    value = additive(np.arange(9, dtype=np.float32))
    assert max_sensitivity(occlusion, window, value, seed=0) == pytest.approx(0.0)
    assert max_sensitivity(RandomRelevance(), window, value, seed=0) > 0.5

    def of_first_number(inputs: WindowInputs, _value: Value) -> Floats:
        return np.concatenate([inputs.words[:, 0], np.zeros(15, np.float32)])

    low, high = (max_sensitivity(of_first_number, window, value, seed=0, noise=noise) for noise in (0.02, 0.2))
    assert 0.0 < low < high


def test_agreement_and_shared_top_are_one_for_the_same_and_fall_with_noise() -> None:
    rng = np.random.default_rng(0)
    relevance = Game(WINDOW, additive(np.zeros(9, np.float32))).spread(np.array([5, -4, 3, 2.5, 2, 1.5, 1, 0.5, 0.1]))
    assert agreement(relevance, relevance, WINDOW) == pytest.approx(1.0)
    assert shared_top(relevance, relevance, WINDOW) == 1.0
    assert agreement(relevance, -relevance, WINDOW) == pytest.approx(-1.0)
    assert agreement(relevance, np.zeros_like(relevance), WINDOW) == 0.0
    a_little, a_lot = (np.mean([agreement(relevance, noisy(relevance, WINDOW, s, rng), WINDOW) for _ in range(40)]) for s in (0.3, 3.0))
    assert a_little > a_lot


def test_a_measure_is_trusted_only_if_it_passes_all_checks() -> None:
    falling, good, bad = [0.9, 0.8, 0.6, 0.4, 0.3], [0.9, 0.8, 1.0], [0.2, 0.3, 0.1]
    assert judge(falling, good, bad, oracle=1.0).trusted
    assert judge([0.9, 0.8, 0.4, 0.6, 0.3], good, bad, oracle=1.0).trusted  # one pair of ten in the wrong order: 0.8
    assert not judge(falling, good, bad, oracle=0.7).trusted
    assert not judge([0.9, 0.3, 0.8, 0.9, 0.5], good, bad, oracle=1.0).trusted
    assert not judge(falling, good, [0.95, 0.85, 0.0], oracle=1.0).trusted
    assert not judge([0.5] * 5, good, bad, oracle=1.0).trusted
    lower = judge(falling[::-1], bad, good, oracle=0.1, higher_is_better=False)
    assert lower.trusted
    assert lower.order == pytest.approx(1.0)
    assert lower.random_wins == 0.0


def test_gini_is_high_for_one_node_whatever_node_that_is() -> None:
    one, other, even = np.zeros(10, np.float32), np.zeros(10, np.float32), np.ones(10, np.float32)
    one[0], other[7] = 1.0, -1.0
    assert gini(one) == gini(other) > 0.8
    assert gini(even) == pytest.approx(0.0, abs=1e-6)
