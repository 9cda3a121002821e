"""Words become phrases that can be claimed to have an effect."""

from __future__ import annotations

import numpy as np
import pytest

from stream.domain.features import Word
from stream.explain.function_words import FUNCTION_WORDS, NEGATIONS
from stream.explain.phrases import candidates, phrases
from stream.explain.redaction.words import joined_text


def spoken(text: str, pause_before: str = "") -> list[Word]:
    words, at_ms = [], 0
    for part in text.split():
        at_ms += 1_500 if part == pause_before else 300
        words.append(Word(part, at_ms, at_ms + 250))
    return words


def texts(text: str, pause_before: str = "") -> list[str]:
    words = spoken(text, pause_before)
    return [joined_text(words, phrase) for phrase in phrases(words)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the ending was not very good", ["the ending", "was not very good"]),
        ("I do not really ever want to like it", ["not really ever want", "to like it"]),
        ("please give it up", ["please", "give it up"]),
        ("Thank you so much for showing us", ["Thank you so much", "for showing us"]),
        ("I think you were kind", ["I think", "you were kind"]),
        ("I like them very much indeed", ["I like them very much", "indeed"]),
        ("we miss much here", ["we miss much here"]),
        ("GREAT, thanks!", ["GREAT,", "thanks!"]),
        ("I don\u2019t care", ["I don\u2019t care"]),
        ("um so I mean it was of the all dull", ["um so I mean", "of the all dull"]),
        ("it is what it is", []),
        ("I do not.", ["I do not."]),
        ("no", ["no"]),
        ("... great", ["great"]),
        ("", []),
    ],
)
def test_content_words_take_the_function_words_beside_them(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_a_phrase_ends_with_its_clause() -> None:
    assert texts("I loved it and the rest bored me") == ["I loved it", "and the rest", "bored me"]
    assert texts("I loved it. And the rest bored me") == ["I loved it.", "And the rest", "bored me"]
    assert texts("I loved it and the rest bored me", pause_before="and") == ["I loved it", "and the rest", "bored me"]


def test_negations_are_function_words_in_lower_case() -> None:
    assert NEGATIONS < FUNCTION_WORDS
    assert all(word == word.lower() and word.strip() == word for word in FUNCTION_WORDS)
    assert not FUNCTION_WORDS & {"good", "bad", "love", "hate", "nice", "terrible"}


def test_candidates_have_the_largest_estimates_of_either_sign() -> None:
    found = phrases(spoken("good films never bored Anna"))
    estimates = np.array([0.2, -0.1, 0.3, -0.9, 0.1], np.float32)
    assert candidates(found, estimates, 2) == [range(2, 4), range(0, 1)]
    assert candidates(found, estimates, 9) == [range(2, 4), range(0, 1), range(1, 2), range(4, 5)]
