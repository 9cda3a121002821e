"""Made-up calls: repeatable, balanced, with phrases of their own in each part."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations

import pytest

from stream.training.corpora import NEGATIVE, NEUTRAL, POSITIVE, Part
from stream.training.excerpts import MOST_WORDS
from stream.training.routine_talk import filled, routine_talk


def test_the_same_seed_and_part_give_the_same_calls() -> None:
    assert routine_talk(100, 3, Part.TRAIN) == routine_talk(100, 3, Part.TRAIN)
    assert routine_talk(100, 3, Part.TRAIN) != routine_talk(100, 4, Part.TRAIN)


@pytest.mark.parametrize("part", list(Part))
def test_most_turns_are_neutral_and_some_callers_have_feelings(part: Part) -> None:
    said = routine_talk(1_000, 0, part)
    counts = Counter(utterance.polarity for utterance in said)
    assert len(said) == 1_000
    assert 0.7 < counts[NEUTRAL] / 1_000 < 0.85
    assert min(counts[NEGATIVE], counts[POSITIVE]) > 80
    assert {utterance.speaker for utterance in said if utterance.polarity != NEUTRAL} == {"caller"}
    assert {utterance.part for utterance in said} == {part}


def test_no_utterance_of_one_part_is_in_another_but_for_a_few_short_ones() -> None:
    texts = {part: {u.text.lower() for u in routine_talk(3_000, 0, part)} for part in Part}
    shared = set.union(*(texts[one] & texts[other] for one, other in combinations(Part, 2)))
    assert max((len(text.split()) for text in shared), default=0) <= 4


def test_turns_of_a_call_are_in_order_and_fit_a_window() -> None:
    calls: dict[str, list[int]] = {}
    for utterance in routine_talk(1_000, 0, Part.TRAIN):
        calls.setdefault(utterance.group, []).append(utterance.order)
        assert 0 < len(utterance.text.split()) <= MOST_WORDS
        assert "{" not in utterance.text
    assert all(orders == list(range(len(orders))) for orders in calls.values())
    assert len(calls) > 20


def test_some_calls_are_written_as_recognisers_write() -> None:
    calls: dict[str, str] = {}
    for utterance in routine_talk(2_000, 0, Part.TRAIN):
        calls[utterance.group] = calls.get(utterance.group, "") + utterance.text
    plain = [not any(c.isupper() or c in ".,?!" for c in text) for text in calls.values()]
    assert 0.15 < sum(plain) / len(plain) < 0.55


def test_braces_are_filled_also_in_what_fills_them() -> None:
    assert not set("{}") & set(filled("{street}, {city}: {email}, {spelled}, {date} at {time}, {amount}, {code}", random.Random(0)))
