"""Phrases of a window: the units of which claims are made.

A word means little without the words around it: "not", "the" and "of" have no effect of their own that a reader could check. A phrase is a
content word with the function words beside it. It never crosses the end of a clause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from stream.domain.features import Floats, Word
from stream.encoders.sentence import PAUSE_MS, ends_sentence
from stream.explain.function_words import DEGREES, FUNCTION_WORDS, NEGATIONS, OBJECTS, VERBS

MOST_JOINED = 3
"""Most function words on one side of a content word that join it. A negation joins from further away, with the words in between."""

_EDGES = re.compile(r"^\W+|\W+$")
_CLAUSE_ENDS = (",", ";", ":", "\u2013", "\u2014")


def phrases(words: Sequence[Word]) -> list[range]:
    """The phrases of some words, each as the range of their indices, in order; phrases do not overlap.

    Function words join the content word after them, and at the end of a clause the one before them. An object and a degree stay with what
    they follow: "thank you so much | for showing us". In a clause without a content word there is a phrase only if it holds a negation, as
    in "not at all".

    Args:
        words: In order of time.
    """
    found: list[range] = []
    for clause in _clauses(words):
        kinds = [_bare(words[index].text) for index in clause]
        content = [place for place, kind in enumerate(kinds) if kind and kind not in FUNCTION_WORDS]
        negated = [place for place, kind in enumerate(kinds) if kind in NEGATIONS]
        if not content and negated:
            found.append(clause[max(0, negated[0] - MOST_JOINED) : negated[-1] + 1 + MOST_JOINED])
        begin = 0
        for place in content:
            negations = [negation for negation in negated if begin <= negation < place]
            start = max(begin, place - MOST_JOINED)
            end = place + 1 + (_completing(kinds[place + 1 :]) if place != content[-1] else min(MOST_JOINED, len(clause) - place - 1))
            found.append(clause[min([start, *negations]) : end])
            begin = end
    return found


def _completing(following: Sequence[str]) -> int:
    """Number of words that complete the content word before them: an object, unless it is the subject of a verb, and a degree."""
    count = int(following[0] in OBJECTS and following[1] not in VERBS)
    degree = 1 if following[count] == "much" else 2 if following[count] in DEGREES and following[count + 1 : count + 2] == ["much"] else 0
    return count + degree


def candidates(found: Sequence[range], estimates: Floats, most: int) -> list[range]:
    """The phrases with the largest estimated effect of either sign, at most `most`; of equal ones the earlier.

    Args:
        found: Phrases.
        estimates: (n,) estimated effect of each word, in score points. The effect of a phrase is that of its words together.
        most: Most phrases that are wanted.
    """
    sizes = [abs(float(np.round(estimates[phrase.start : phrase.stop].sum(dtype=np.float64), 3))) for phrase in found]
    return [found[index] for index in sorted(range(len(found)), key=lambda index: (-sizes[index], index))[:most]]


def _clauses(words: Sequence[Word]) -> Iterator[range]:
    first = 0
    for index, word in enumerate(words, start=1):
        is_last = index == len(words)
        if is_last or ends_sentence(word.text) or word.text.endswith(_CLAUSE_ENDS) or words[index].start_ms - word.end_ms >= PAUSE_MS:
            yield range(first, index)
            first = index


def _bare(text: str) -> str:
    """A word in lower case without the punctuation around it; empty for punctuation alone."""
    return _EDGES.sub("", text.lower().replace("\u2019", "'"))
