"""Words: what each says alone, against what it says to an honest model, and the table of word types by their effect in windows.

(1)  e = v(words) - v(words without this one, encoded again),   mean by word type, t = mean / standard error
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np

from stream.domain.media_format import FACE_SIZE
from stream.domain.modality import Modality
from stream.explain.word_types import word_type
from stream.nuisances.marks import Words
from stream.reveal.findings import WORD, Detector, Example, Finding
from stream.reveal.windows import RawWindow, ServedModels, encode

LEAST_OCCURRENCES = 4


class Effect(NamedTuple):
    """What one occurrence of a word does to the score of the words of a window, in points.

    Attributes:
        word: Its type.
        moved: The effect, equation (1).
        window: Name of the window.
        before: Score without the occurrence.
    """

    word: str
    moved: float
    window: str = ""
    before: float = 0.0


def removal_effects(windows: Sequence[RawWindow], models: ServedModels) -> list[Effect]:
    """Equation (1) for every occurrence of a word in windows with at least two words; v is the score of the words alone."""
    spoken = [text_alone(raw.words, raw.name) for raw in windows if len(raw.words) > 1]
    places = [(index, place) for index, raw in enumerate(spoken) for place, word in enumerate(raw.words) if word_type(word)]
    if not places:
        return []
    shortened = [replace(spoken[index], words=spoken[index].words[:place] + spoken[index].words[place + 1 :]) for index, place in places]
    whole = models.answers(encode(spoken, models)).scores[:, Modality.TEXT.bit]
    without = models.answers(encode(shortened, models)).scores[:, Modality.TEXT.bit]
    found = []
    for (index, place), left in zip(places, without.tolist(), strict=True):
        raw = spoken[index]
        found.append(Effect(word_type(raw.words[place]) or "", float(whole[index]) - left, raw.name, left))
    return found


def word_examples(effects: Iterable[Effect], most: int) -> dict[str, tuple[Example, ...]]:
    """By word type, the occurrences that moved the score furthest, at most one of a window."""
    by_type: dict[str, dict[str, Effect]] = defaultdict(dict)
    for own in sorted(effects, key=lambda effect: -abs(effect.moved)):
        by_type[own.word].setdefault(own.window, own)
    return {
        word: tuple(
            Example(window=own.window, before=own.before, after=own.before + own.moved, moved=own.moved)
            for own in list(of_windows.values())[:most]
        )
        for word, of_windows in by_type.items()
    }


class WordType(msgspec.Struct, frozen=True):
    """A row of the table: a word type, its mean effect in score points with its standard error, and how often it occurs."""

    word: str
    effect: float
    error: float
    occurrences: int

    @property
    def t(self) -> float:
        """The mean effect in standard errors."""
        return self.effect / (self.error + 1e-3)


def word_table(effects: Iterable[Effect], least: int = LEAST_OCCURRENCES) -> list[WordType]:
    """Word types that occur often enough, the greatest |t| first."""
    by_type: dict[str, list[float]] = defaultdict(list)
    for effect in effects:
        by_type[effect.word].append(effect.moved)
    table = [
        WordType(word, float(np.mean(own)), float(np.std(own, ddof=1) / np.sqrt(len(own))), len(own))
        for word, own in by_type.items()
        if len(own) >= least
    ]
    return sorted(table, key=lambda row: (-abs(row.t), row.word))


def said_alone(words: Sequence[str], models: ServedModels, examples: Mapping[str, tuple[Example, ...]] | None = None) -> list[Finding]:
    """A finding for each word: the score of a window in which it alone is said. An honest model gives a word without a feeling about 0."""
    if not words:
        return []
    scores = models.answers(encode([text_alone((word,)) for word in words], models)).scores[:, Modality.TEXT.bit]
    return [
        Finding(
            detector=Detector.WORDS,
            name=f"{WORD}{word}",
            modality=Modality.TEXT,
            value=float(score),
            error=0.0,
            windows=1,
            examples=(examples or {}).get(word, ()),
        )
        for word, score in zip(words, scores, strict=True)
    ]


def text_alone(words: Words, name: str = "") -> RawWindow:
    """A window of words without sound and face."""
    return RawWindow(words, np.zeros(0, np.int16), np.zeros((0, FACE_SIZE, FACE_SIZE), np.uint8), name=name)
