"""Measures what phrases do to a score: each is removed, the other words are encoded again, and the model is asked again.

The word states of a window depend on each other, so masking a word's node says little about what the score would be without the word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from stream.domain.features import Floats, Word
from stream.domain.inference import Inference, WindowInputs
from stream.encoders.text import Tokenizer
from stream.encoders.window_inputs import with_words
from stream.explain.phrases import candidates, phrases
from stream.explain.records import Measured
from stream.explain.score_and_label import ScoreAndLabel, score_and_label
from stream.explain.word_effects import Phrases, Truth, changing, claims, effects, sets_to_try, truth
from stream.pipeline.word_states import TextMemory, word_states
from stream.serving.models import Models


class SpokenWindow(NamedTuple):
    """A window whose words the text encoder has encoded, with the model's answer.

    Attributes:
        words: All its words, in order of time.
        words_before: Words of earlier windows with which its first sentence began, encoded together with `words`.
        inputs: Its inputs.
        inference: The model's answer.
        start_ms: Its start.
        texts: The encoded texts of its track; None: nothing is remembered.
    """

    words: tuple[Word, ...]
    words_before: tuple[str, ...]
    inputs: WindowInputs
    inference: Inference
    start_ms: int
    texts: TextMemory | None = None


class Findings(NamedTuple):
    """What the removal of phrases has shown.

    Attributes:
        measured: The claims, strongest first. Of a window that was examined in full, the smallest set of phrases found whose removal
            changes the label, in order of time.
        truth: Of a window that was examined in full: whether its claims hold.
    """

    measured: Measured
    truth: Truth | None = None


class WordClaims:
    """Removes phrases of windows. All removals of a window are asked for together, so that they share requests, also with other windows.

    Args:
        models: Triton's models; outages are waited out.
        tokenizer: Of the text encoder.
        most: Most phrases of a window that are tried for its claims: those with the largest estimated effect.
    """

    def __init__(self, models: Models, tokenizer: Tokenizer, most: int) -> None:
        self._models = models
        self._tokenizer = tokenizer
        self._most = most

    async def find(self, window: SpokenWindow, *, in_full: bool = False) -> Findings:
        """The claims on a window. If `in_full`, every phrase is removed besides, to check them and to find the words of the label."""
        found = phrases(window.inputs.word_nodes)
        whole = score_and_label(window.inputs, window.inference)
        tried = await self.without_each(window, candidates(found, _estimates(window), self._most))
        if not in_full:
            return Findings(Measured(claims(whole, tried)))
        every = await self.without_each(window, found)
        checked = truth(effects(whole, tried), effects(whole, every))
        return Findings(Measured(claims(whole, tried), await self.label_change(window, whole, every)), checked)

    async def label_change(
        self, window: SpokenWindow, whole: ScoreAndLabel, every: Mapping[range, ScoreAndLabel]
    ) -> tuple[range, ...] | None:
        """The smallest set of phrases found whose removal changes the label, in order of time; None if none was found.

        Args:
            window: The window.
            whole: Its score and label.
            every: Those without each of its phrases.
        """
        found = changing(whole, {(phrase,): answer for phrase, answer in every.items()})
        for sets in sets_to_try(whole, every):
            if found is not None:
                break
            found = changing(whole, dict(zip(sets, await self.without(window, sets), strict=True)))
        return None if found is None else tuple(sorted(found, key=attrgetter("start")))

    async def without_each(self, window: SpokenWindow, found: Sequence[range]) -> dict[range, ScoreAndLabel]:
        """Score and label without each of some phrases of the window's nodes."""
        return dict(zip(found, await self.without(window, [(phrase,) for phrase in found]), strict=True))

    async def without(self, window: SpokenWindow, sets: Sequence[Phrases]) -> list[ScoreAndLabel]:
        """Score and label without each of some sets of phrases."""
        # First all texts, then all windows: a window whose text is ready sooner waits for the others, and shares their request.
        rest = await asyncio.gather(*(self._inputs_without(window, chosen) for chosen in sets))
        answers = await asyncio.gather(*(self._models.coalitions(inputs, window.inference.version) for inputs in rest))
        return [score_and_label(inputs, answer) for inputs, answer in zip(rest, answers, strict=True)]

    async def _inputs_without(self, window: SpokenWindow, chosen: Phrases) -> WindowInputs:
        # Phrases are those of the words that fit into the window's inputs, the latest.
        first = len(window.words) - len(window.inputs.word_nodes)
        removed = {first + index for phrase in chosen for index in phrase}
        words = [word for index, word in enumerate(window.words) if index not in removed]
        states = await word_states(self._models, self._tokenizer, words, window.words_before, window.texts)
        return with_words(window.inputs, words, states, window.start_ms)


def _estimates(window: SpokenWindow) -> Floats:
    """(n,) estimated effect of each word: the model's own estimate, or the relevance of its node where the weights have none."""
    estimated, count = window.inference.word_effects, len(window.inputs.word_nodes)
    return window.inference.relevance[:count] if estimated is None or not estimated.any() else estimated[:count]
