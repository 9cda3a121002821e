"""Windows that cut an utterance, and how they are encoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from rich.progress import Progress

from stream.encoders.sentence import SENTENCE_WORDS
from stream.training import features
from stream.training.corpora import Part, Utterance
from stream.training.excerpts import CUT_FROM, MOST_WORDS, Excerpt, cut, unfinished, unpunctuated, whole
from stream.training.features import embed_text


def said(text: str) -> Utterance:
    return Utterance("meld", "g", text, None, 1, Part.TRAIN, "s", 0)


class Positions:
    """A text encoder whose states are the token's position."""

    def run(self, _: list[str], tokens: dict[str, npt.NDArray[np.int64]]) -> list[npt.NDArray[np.float32]]:
        rows, length = tokens["input_ids"].shape
        return [np.broadcast_to(np.arange(length, dtype=np.float32)[None, :, None], (rows, length, 384))]


def test_a_whole_utterance_is_kept_up_to_the_capacity_of_a_window() -> None:
    assert [e.words for e in whole([said("no way"), said(" "), said("so " * 40)])] == [("no", "way"), ("so",) * MOST_WORDS]


def test_only_what_has_punctuation_is_repeated_without_it() -> None:
    assert [e.words for e in unpunctuated([said("Don't, please -"), said("nothing here"), said("...")])] == [("Don't", "please")]


def test_a_cut_window_continues_its_sentence() -> None:
    text = "one two three four five six seven eight nine ten eleven twelve"
    for seed in range(50):
        (window,) = cut([said(text)], seed)
        joined = " ".join(window.earlier + window.words)
        assert text.startswith(joined)
        assert len(window.earlier) >= 1
        assert len(window.words) >= 3


def test_a_cut_window_keeps_the_unfinished_sentence_alone() -> None:
    windows = [cut([said("Oh no! I was told it would be here today.")], seed)[0] for seed in range(50)]
    assert all("no!" not in window.earlier for window in windows)
    assert {len(window.earlier) for window in windows} >= {0, 1, 2}, "a window may begin with a sentence"


def test_short_utterances_are_not_cut() -> None:
    assert cut([said("a " * (CUT_FROM - 1))], 0) == []
    assert len(cut([said("a " * CUT_FROM)], 0)) == 1


def test_the_unfinished_sentence_is_bounded() -> None:
    assert unfinished(["Yes.", "and", "then"]) == ("and", "then")
    assert unfinished(["Really?"]) == ()
    assert len(unfinished(["so"] * 40)) == SENTENCE_WORDS


def test_only_the_windows_words_have_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "session", lambda _: Positions())
    with Progress(disable=True) as progress:
        pool = embed_text([Excerpt(said("x"), ("was", "bad"), ("the", "movie")), Excerpt(said("x"), ("fine",))], Path("unused"), progress)
    assert [states[:, 0].tolist() for states in pool.states] == [[3.0, 4.0], [1.0]], "position 0 is [CLS]"
