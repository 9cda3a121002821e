"""Windows of the opt-in store, for a revision without corpora: sentences with a word and without it, and what a version says of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.inference import EVERYTHING
from stream.explain.word_types import word_type
from stream.nuisances.marks import Mark, Words
from stream.reveal.findings import WORD
from stream.reveal.windows import ServedModels, encode
from stream.reveal.words import text_alone
from stream.sinks.stored_window import StoredWindow
from stream.training.corpora import NEUTRAL, Part, Utterance
from stream.training.excerpts import MOST_WORDS, Excerpt

LEAST_SENTENCES = 50
"""Sentences that a projection needs, with and without the word."""

CORPUS = "store"


class SentencePair(NamedTuple):
    """What was said without a word, and with it."""

    plain: Words
    marked: Words


class TooFewSentencesError(ValueError):
    """The store has too little; the message says what a projection needs."""


class StoredWords(NamedTuple):
    """Windows of a store, seen from a word.

    Attributes:
        all: All of them.
        pairs: What was said in them, without the word and with it.
        spared: The windows in which the word is not said.
    """

    all: Sequence[StoredWindow]
    pairs: Sequence[SentencePair]
    spared: Sequence[StoredWindow]

    @classmethod
    def of(cls, windows: Sequence[StoredWindow], mark: Mark[Words], seed: int) -> StoredWords:
        """Sort windows. Raises `TooFewSentencesError` if there are not `LEAST_SENTENCES` of them without the word."""
        word = mark.name.removeprefix(WORD)
        pairs, spared = sentence_pairs(windows, mark, word, seed), [own for own in windows if own.words and not says(own, word)]
        if (found := min(len(pairs), len(spared))) < LEAST_SENTENCES:
            raise TooFewSentencesError(f"the store has {found} windows of other words, and a projection needs {LEAST_SENTENCES}")
        return cls(windows, pairs, spared)


def sentence_pairs(windows: Sequence[StoredWindow], mark: Mark[Words], word: str, seed: int) -> list[SentencePair]:
    """A pair for each window of words: the word is left out where it was said, and put in where it was not.

    A window that says nothing else, and one whose word states came from their producer, are left out.
    """
    rng, pairs = np.random.default_rng(seed), []
    for stored in windows:
        said = tuple([own.text for own in stored.words])[: MOST_WORDS - 1]
        plain = tuple([text for text in said if word_type(text) != word])
        if stored.words_encoded and plain:
            pairs.append(SentencePair(plain, said if len(said) > len(plain) else mark.put(plain, mark.usual, rng)))
    return pairs


def states_of(sentences: Sequence[Words], models: ServedModels) -> list[Floats]:
    """(n_i, 384) states of the words of each sentence."""
    return [own.words[own.word_mask > 0] for own in encode([text_alone(words) for words in sentences], models)]


def says(window: StoredWindow, word: str) -> bool:
    """Whether a word is said in a window, or in the words with which its sentence began."""
    return any(word_type(text) == word for text in (*window.words_before, *(own.text for own in window.words)))


def labels_of(windows: Sequence[StoredWindow], models: ServedModels) -> npt.NDArray[np.int64]:
    """(n,) indices of the labels that a version gives to windows, with all that they have and the context that they had."""
    found = np.zeros(len(windows), np.int64)
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, own in enumerate(windows):
        by_shape[len(own.inputs.words), len(own.inputs.audio), len(own.inputs.video)].append(place)
    for places in by_shape.values():
        found[places] = models.answers([windows[place].inputs for place in places]).probabilities[:, EVERYTHING].argmax(axis=1)
    return found


def excerpts_of(windows: Sequence[StoredWindow], most: int) -> list[Excerpt]:
    """Texts on which claims on words are checked, evenly drawn. Their polarity is not known, and not read."""
    spoken = [own for own in windows if own.words_encoded and len(own.words) > 1]
    chosen = spoken[:: max(1, -(-len(spoken) // most))]
    return [
        Excerpt(Utterance(CORPUS, own.score.session, "", None, NEUTRAL, Part.TEST, own.score.track, 0), words)
        for own in chosen
        if (words := tuple([word.text for word in own.words])[:MOST_WORDS])
    ]
