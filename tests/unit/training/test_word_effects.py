"""The estimate of words' effects is fitted to what removals do, and claims are checked against all removals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

from stream.domain.media_format import WORD_WIDTH
from stream.explain.score_and_label import ScoreAndLabel
from stream.model.mmci import MMCI
from stream.model.served import SERVED, ServedMMCI
from stream.training import word_effects
from stream.training.corpora import Part, Utterance
from stream.training.excerpts import MOST_WORDS, Excerpt
from stream.training.features import TextPool
from stream.training.word_effects import TextEffects, excerpts_of, fit_word_effects, measured_effects, truth_rate

GOOD, BAD = 0, 1
"""Dimensions of a state that tell a good word and a bad one."""


def served() -> ServedMMCI:
    return ServedMMCI(MMCI(replace(SERVED, hidden=8, head_hidden=8, strata=2))).eval()


def text(group: str, kinds: Sequence[int], estimates: Sequence[float] | None = None) -> TextEffects:
    """A text of one-word phrases; a good word is worth 0.5 points, and a bad one -1."""
    rng = np.random.default_rng(len(group) + len(kinds))
    states = rng.normal(0.0, 0.01, (len(kinds), WORD_WIDTH)).astype(np.float32)
    states[range(len(kinds)), kinds] = 4.0
    worth = [{GOOD: 0.5, BAD: -1.0}.get(kind, 0.0) for kind in kinds]
    without = {range(place, place + 1): said(sum(worth) - own) for place, own in enumerate(worth)}
    return TextEffects(group, states, np.array(estimates if estimates is not None else worth, np.float32), said(sum(worth)), without)


def said(score: float) -> ScoreAndLabel:
    return ScoreAndLabel(score, "positive", np.array([0.0, 0.0, 1.0], np.float32))


def test_the_estimate_learns_what_words_do() -> None:
    model = served()
    rng = np.random.default_rng(0)
    texts = [text(f"call {number}", rng.integers(0, 5, 6).tolist()) for number in range(60)]
    report = fit_word_effects(model, texts, seed=0)
    assert report["phrases"] == 360
    assert report["explained_variance"] > 0.9
    ridge = model.word_ridge.numpy()
    estimates = texts[0].states @ ridge[:-1] + ridge[-1]
    expected = [{GOOD: 0.5, BAD: -1.0}.get(int(kind), 0.0) for kind in texts[0].states.argmax(axis=1)]
    assert np.abs(estimates - expected).max() < 0.2


def test_a_phrase_is_removed_as_if_it_had_not_been_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def embedded(excerpts: Sequence[Excerpt], _weights: Path, _progress: Progress) -> TextPool:
        """The states of a text depend on all its words, as those of the text encoder do."""
        states = [np.full((len(excerpt.words), WORD_WIDTH), len(" ".join(excerpt.words)) / 50.0, np.float16) for excerpt in excerpts]
        return TextPool(tuple(excerpt.utterance for excerpt in excerpts), tuple(states))

    monkeypatch.setattr(word_effects, "embed_text", embedded)
    said_there = Utterance("mosi", "video", "", None, 2, Part.TEST, "s", 0)
    texts = [Excerpt(said_there, tuple(words.split())) for words in ("so good but awful sound", "so good but awful", "so good")]
    with Progress(disable=True) as progress:
        longest, shorter, one_phrase = measured_effects(served(), texts, Path("unused"), progress)
    assert list(longest.without) == [range(2), range(2, 4), range(4, 5)]
    assert longest.without[range(4, 5)].score == pytest.approx(shorter.whole.score, abs=2e-4)
    assert shorter.without[range(2, 4)].score == pytest.approx(one_phrase.whole.score, abs=2e-4)
    assert len({text.whole.score for text in (longest, shorter, one_phrase)}) == 3
    assert list(one_phrase.without) == [range(2)], "without its only phrase a text is no text"


def test_texts_without_a_phrase_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="no text has a phrase"):
        fit_word_effects(served(), [text("call", [])], seed=0)


def test_few_removals_find_the_strongest_phrase_only_with_a_good_estimate() -> None:
    right, misled = text("a", [GOOD, BAD, 2]), text("b", [GOOD, BAD, 2], estimates=[0.9, 0.1, 0.0])
    assert truth_rate([right, misled], most=1) == {"top": 0.5, "sign": 1.0, "windows": 2.0, "removals": 1.0}
    assert truth_rate([right, misled], most=2) == {"top": 1.0, "sign": 1.0, "windows": 2.0, "removals": 2.0}
    assert truth_rate([text("c", [2, 3])]) == {"top": None, "sign": None, "windows": 0.0, "removals": 2.0}


def test_excerpts_are_of_all_kinds_and_at_most_as_many_of_each_corpus() -> None:
    said_there = [
        Utterance(corpus, f"g{number}", "I liked, in the end, most of it.", None, 2, Part.TRAIN, "s", number)
        for corpus in ("mosi", "meld")
        for number in range(20)
    ]
    chosen = excerpts_of(said_there, 25, seed=1)
    assert chosen == excerpts_of(said_there, 25, seed=1)
    assert [sum(excerpt.utterance.corpus == corpus for excerpt in chosen) for corpus in ("mosi", "meld")] == [25, 25]
    assert any(excerpt.earlier for excerpt in chosen)
    assert all(len(excerpt.words) <= MOST_WORDS for excerpt in chosen)
