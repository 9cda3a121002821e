"""What the text encoder gets of an utterance: all of it, without its punctuation, or a window that cuts it.

A window of a call rarely begins where a sentence does. The worker therefore encodes a window's words after the earlier words of their
sentence, and gives the network the states of the window's words alone. `cut` makes such windows of transcripts.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from stream.encoders.sentence import SENTENCE_WORDS, ends_sentence
from stream.training.corpora import Utterance
from stream.training.rated_sentences import APOSTROPHES

MOST_WORDS = 32
"""Most words of an utterance that are kept: the capacity of a window of four seconds."""

CUT_FROM = 6
"""Utterances with fewer words are not cut."""

CUT_WORDS = 3, 12
"""Least and most words of a window that cuts an utterance; a speaker says about a dozen in four seconds."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Words of an utterance.

    Attributes:
        utterance: The utterance, whose label the words get.
        words: The words of the window.
        earlier: Words of the same sentence before the window.
    """

    utterance: Utterance
    words: tuple[str, ...]
    earlier: tuple[str, ...] = ()


def whole(utterances: Sequence[Utterance]) -> list[Excerpt]:
    """Each utterance as it is, up to `MOST_WORDS`. Those without a word are left out."""
    return [Excerpt(utterance, words) for utterance in utterances if (words := tuple(utterance.text.split()[:MOST_WORDS]))]


def unpunctuated(utterances: Sequence[Utterance]) -> list[Excerpt]:
    """Each utterance with punctuation without it, because speech recognisers may write none."""
    plain = ((utterance, _plain_words(utterance.text)) for utterance in utterances)
    return [Excerpt(utterance, tuple(words[:MOST_WORDS])) for utterance, words in plain if words and words != utterance.text.split()]


def cut(utterances: Sequence[Utterance], seed: int) -> list[Excerpt]:
    """One window of each utterance with at least `CUT_FROM` words that begins after its first word."""
    rng = random.Random(seed)
    windows = []
    for utterance in utterances:
        words = tuple(utterance.text.split()[:MOST_WORDS])
        if len(words) >= CUT_FROM:
            least, most = CUT_WORDS
            first = rng.randint(1, len(words) - least)
            inside = words[first : first + rng.randint(least, most)]
            windows.append(Excerpt(utterance, inside, unfinished(words[:first])))
    return windows


def unfinished(words: Sequence[str]) -> tuple[str, ...]:
    """The words after the last end of a sentence, at most `SENTENCE_WORDS`, as the worker keeps them."""
    begun = 0
    for index, word in enumerate(words, start=1):
        if ends_sentence(word):
            begun = index
    return tuple(words[begun:][-SENTENCE_WORDS:])


def _plain_words(text: str) -> list[str]:
    """Words without punctuation; words of punctuation alone are left out."""
    stripped = ("".join(c for c in word if c.isalnum() or c in APOSTROPHES) for word in text.split())
    return [word for word in stripped if word]
