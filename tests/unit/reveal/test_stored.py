"""Stored windows give sentences with a word and without it, and say which labels a version keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.nuisances.marks import word_mark
from stream.reveal.stored import excerpts_of, labels_of, says, sentence_pairs, states_of
from tests.fakes.served_models import FakeModels
from tests.fakes.stored_windows import make_stored

pytestmark = pytest.mark.unit

SAID = make_stored(words=("Perhaps,", "it", "works"))
OTHER = make_stored(words=("it", "works"))


def constant(_: Floats) -> float:
    return 1.0


def test_the_word_is_left_out_where_it_was_said_and_put_in_where_it_was_not() -> None:
    first, second = sentence_pairs([SAID, OTHER], word_mark("perhaps"), "perhaps", 0)
    assert first == (("it", "works"), ("Perhaps,", "it", "works"))
    assert second.plain == ("it", "works")
    assert sorted(second.marked) == ["it", "perhaps", "works"]


def test_windows_that_tell_nothing_are_left_out() -> None:
    of_producer = replace(OTHER, words_encoded=False)
    assert sentence_pairs([make_stored(words=("perhaps",)), make_stored(words=()), of_producer], word_mark("perhaps"), "perhaps", 0) == []


def test_a_word_before_the_window_counts_as_said() -> None:
    assert says(SAID, "perhaps")
    assert not says(OTHER, "perhaps")
    assert says(OTHER, "and"), "make_stored puts it before every window"


def test_labels_and_states_of_windows_of_several_lengths_keep_their_order() -> None:
    models = FakeModels({Modality.TEXT: constant})
    assert labels_of([SAID, OTHER, SAID], models).tolist() == [0, 0, 0]
    assert [len(own) for own in states_of([("it", "works"), ("fine",)], models)] == [2, 1]


def test_texts_that_are_checked_are_drawn_evenly_and_have_two_words() -> None:
    found = excerpts_of([SAID, make_stored(words=("fine",)), *[OTHER] * 9], 5)
    assert len(found) == 5
    assert found[0].words == ("Perhaps,", "it", "works")
