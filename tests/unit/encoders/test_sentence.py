"""The sentence that a window's words belong to."""

from __future__ import annotations

import pytest
from msgspec import structs

from stream.domain.context import OpenSentence
from stream.domain.features import TextFeatures, Word
from stream.domain.window import Window
from stream.encoders.sentence import SENTENCE_WORDS, WORD_CHARACTERS, open_sentence, words_before
from tests.fakes.windows import make_window

STEP_MS = 300


def spoken(text: str, *, start_ms: int = 4000, pause_after: str = "", pause_ms: int = 0) -> tuple[Word, ...]:
    """Words of 200 ms every 300 ms; a pause follows one of them."""
    words = []
    for word in text.split():
        words.append(Word(word, start_ms, start_ms + 200))
        start_ms += STEP_MS if word != pause_after else 200 + pause_ms
    return tuple(words)


def window(words: tuple[Word, ...], *, ends_utterance: bool = False) -> Window:
    return structs.replace(make_window(), end_ms=14_000, text=(TextFeatures(words, ends_utterance),))


def left_open(words: tuple[Word, ...], *, ends_utterance: bool = False) -> tuple[tuple[str, ...], bool]:
    found = open_sentence(window(words, ends_utterance=ends_utterance))
    assert found is not None
    return found.words, found.from_before


@pytest.mark.parametrize("end", ["fine.", "fine?", "fine!", "fine…", "fine.”", "(fine.)", "“fine!”", "..."])
def test_punctuation_ends_a_sentence(end: str) -> None:
    assert left_open(spoken(f"that is {end} but the")) == (("but", "the"), False)
    assert left_open(spoken(f"that is {end}")) == ((), False)


@pytest.mark.parametrize("word", ["fine,", "fine:", "it's", "3.5", "(fine)"])
def test_other_signs_end_none(word: str) -> None:
    assert left_open(spoken(f"that is {word}")) == (("that", "is", word), True)


@pytest.mark.parametrize(("pause_ms", "found"), [(999, (("that", "is", "the"), True)), (1000, (("the",), False))])
def test_a_pause_of_a_second_ends_a_sentence(pause_ms: int, found: tuple[tuple[str, ...], bool]) -> None:
    assert left_open(spoken("that is the", pause_after="is", pause_ms=pause_ms)) == found


def test_the_last_word_of_an_utterance_ends_a_sentence() -> None:
    assert left_open(spoken("that is"), ends_utterance=True) == ((), False)
    chunks = (TextFeatures(spoken("that is"), ends_utterance=True), TextFeatures(spoken("but the", start_ms=4600)))
    found = open_sentence(structs.replace(window(()), text=chunks))
    assert found == OpenSentence(("but", "the"), 4600, 5100, from_before=False)


def test_the_end_of_an_utterance_outside_the_window_says_nothing() -> None:
    words = (*spoken("that is"), Word("all", 13_900, 14_300))
    assert left_open(words, ends_utterance=True) == (("that", "is"), True)


def test_words_and_their_number_are_bounded() -> None:
    found = open_sentence(window(spoken("x" * 300 + " " + " ".join(str(number) for number in range(SENTENCE_WORDS + 3)))))
    assert found is not None
    assert found.words == tuple(str(number) for number in range(3, SENTENCE_WORDS + 3))
    assert found.start_ms == 4000 + 4 * STEP_MS
    assert left_open(spoken("x" * 300))[0] == ("x" * WORD_CHARACTERS,)


def test_a_window_without_a_word_leaves_no_sentence() -> None:
    assert open_sentence(window(())) is None


def before(*sentences: OpenSentence | None) -> tuple[str, ...]:
    """The beginning of the sentence of a window whose first word begins at 8.0 s."""
    return words_before(spoken("good morning", start_ms=8000), sentences)


NEWEST = OpenSentence(("is", "not"), 6500, 7900, from_before=True)
OLDER = OpenSentence(("this",), 3000, 6000, from_before=False)
OLDEST = OpenSentence(("never",), 1000, 2900, from_before=True)


def test_a_sentence_begins_in_the_newest_windows_in_which_none_ended() -> None:
    assert before(NEWEST, OLDER, OLDEST) == ("this", "is", "not")
    assert before(structs.replace(NEWEST, from_before=False), OLDER) == ("is", "not")
    assert before(NEWEST, None, OLDER) == ("this", "is", "not")


def test_a_sentence_that_has_ended_goes_on_in_no_window() -> None:
    assert before(OpenSentence((), 7900, 7900, from_before=False), NEWEST) == ()
    assert before() == ()


def test_a_pause_between_windows_ends_a_sentence() -> None:
    assert before(structs.replace(NEWEST, end_ms=7001)) == ("is", "not")
    assert before(structs.replace(NEWEST, end_ms=7000)) == ()
    assert before(NEWEST, structs.replace(OLDER, end_ms=5500)) == ("is", "not")


def test_the_newest_words_of_a_long_sentence_are_kept() -> None:
    many = OpenSentence(tuple(str(number) for number in range(SENTENCE_WORDS - 1)), 3000, 6000, from_before=True)
    assert before(NEWEST, many) == (*many.words[1:], "is", "not")
    assert len(before(NEWEST, many, OLDEST)) == SENTENCE_WORDS


def test_a_window_without_a_word_belongs_to_no_sentence() -> None:
    assert words_before((), [NEWEST]) == ()
