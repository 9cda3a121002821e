"""Claims, their truth, and the words that a label hangs on, from scores and labels without phrases."""

from __future__ import annotations

import numpy as np

from stream.domain.features import Word
from stream.explain.score_and_label import ScoreAndLabel
from stream.explain.word_effects import Truth, changing, claims, effects, sets_to_try, truth

WORDS = [Word(text, 100 * index, 100 * index + 80) for index, text in enumerate(["so", "nice", "and", "slow"])]
NICE, SLOW = range(2), range(2, 4)


def said(score: float, label: str, positive: float = 0.5) -> ScoreAndLabel:
    return ScoreAndLabel(score, label, np.array([0.1, 0.9 - positive, positive], np.float32))


WHOLE = said(1.0, "positive", 0.8)


def test_claims_are_measured_effects_strongest_first() -> None:
    found = claims(WHOLE, {SLOW: said(1.3, "positive"), NICE: said(0.1, "neutral")})
    assert found == ((NICE, 0.9, "neutral"), (SLOW, -0.3, "positive"))


def test_a_small_effect_is_no_claim() -> None:
    assert claims(WHOLE, {NICE: said(0.96, "positive")}) == ()


def test_truth_finds_a_stronger_phrase_that_was_not_tried_and_a_wrong_sign() -> None:
    every = effects(WHOLE, {NICE: said(0.1, "neutral"), SLOW: said(1.3, "positive")})
    assert truth({NICE: 0.9}, every) == Truth(1, 1, 1, 1)
    assert truth({SLOW: -0.3}, every) == Truth(1, 0, 1, 1)
    assert truth({NICE: -0.9}, every) == Truth(1, 1, 1, 0)
    assert truth({}, {NICE: 0.04}) == Truth()


def test_truth_adds_up_to_rates() -> None:
    assert Truth().rates() == {"top": None, "sign": None}
    assert Truth(1, 1, 3, 3).plus(Truth(1, 0, 1, 0)).rates() == {"top": 0.5, "sign": 0.75}


def test_sets_grow_from_the_phrases_that_support_the_label() -> None:
    parts = [range(index, index + 1) for index in range(6)]
    support = [0.1, 0.3, 0.2, -0.2, 0.25, 0.15]
    without = {part: said(1.0, "positive", 0.8 - value) for part, value in zip(parts, support, strict=True)}
    stages = list(sets_to_try(WHOLE, without))
    assert [len(stage) for stage in stages] == [6, 4, 1]
    assert stages[0][0] == (parts[1], parts[4])
    assert set(stages[2][0]) == {parts[1], parts[2], parts[4], parts[5]}


def test_the_label_hangs_on_the_set_that_takes_most_of_its_probability() -> None:
    tried = {(NICE,): said(0.2, "neutral", 0.3), (SLOW,): said(0.1, "neutral", 0.2), (NICE, SLOW): said(0.0, "positive", 0.1)}
    assert changing(WHOLE, tried) == (SLOW,)
    assert changing(WHOLE, {(NICE, SLOW): said(0.0, "positive")}) is None
