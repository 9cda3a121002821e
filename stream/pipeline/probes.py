"""Probes windows of the live stream: what hiss, hum, a blurred or dark picture and a filler word would do to the score.

The chunks of a probed window hold their features with each nuisance already (`stream.pipeline.encode`); a filler word is inserted here, and
the words are encoded again. Nothing is asked of other windows, and nothing is said of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import msgspec

from stream.domain.context import ContextFeatures
from stream.domain.features import AudioFeatures, Floats, VideoFeatures, Word
from stream.domain.inference import EVERYTHING, Coalitions, Inference, WindowInputs
from stream.domain.live_reveal import ALONE
from stream.domain.modality import Modality
from stream.domain.sampling import is_probed
from stream.domain.window import Window
from stream.encoders.context_inputs import with_context
from stream.encoders.text import Tokenizer
from stream.encoders.window_inputs import build, with_words
from stream.explain.rounding import rounded
from stream.explain.shapley import restricted, shapley_values
from stream.nuisances.probes import FACE_PROBES, SOUND_PROBES, filler_and_place
from stream.pipeline.word_states import word_states
from stream.serving.errors import ModelRejectedError
from stream.serving.models import Models

Chunk = TypeVar("Chunk", AudioFeatures, VideoFeatures)


class ScoredWindow(NamedTuple):
    """A window with what it was scored from.

    Attributes:
        window: The window.
        states: (n, 384) states of its words.
        words_before: Words of earlier windows with which its first sentence began.
        context: The contributions of the windows of its context.
        earlier: Those of the earlier windows of its track.
        inputs: The inputs that follow.
        inference: The model's answer.
    """

    window: Window
    states: Floats
    words_before: tuple[str, ...]
    context: Sequence[ContextFeatures]
    earlier: Sequence[ContextFeatures]
    inputs: WindowInputs
    inference: Inference


class Shift(NamedTuple):
    """What a nuisance does to a window, in score points.

    Attributes:
        name: Name of the mark.
        contribution: By how much the contribution of its modality moves.
        score: By how much the score moves.
        alone: Whether the window has nothing but this modality.
    """

    name: str
    contribution: float
    score: float
    alone: bool

    @property
    def key(self) -> str:
        """Name of its sums and of its threshold."""
        return f"{self.name}{ALONE}" if self.alone else self.name


class Probes:
    """Puts nuisances on a share of the windows.

    Args:
        models: Triton's models; outages are waited out.
        tokenizer: Of the text encoder.
        share: Share of the media that is probed.
        thresholds: By name of a mark, with `ALONE` for windows that have nothing but its modality: the shift of the score above which a
            window is sensitive to it. Others are never claimed.
    """

    def __init__(self, models: Models, tokenizer: Tokenizer, share: float, thresholds: Mapping[str, float]) -> None:
        self._models = models
        self._tokenizer = tokenizer
        self._share = share
        self._thresholds = thresholds

    def covers(self, window: Window) -> bool:
        """Whether a window is among those that are probed."""
        return is_probed(window.track, window.start_ms, window.end_ms, self._share)

    async def shifts(self, scored: ScoredWindow) -> tuple[Shift, ...]:
        """What each nuisance does to a window that is covered. All questions are asked together, so that they share requests."""
        asked = [*self._of_sound(scored), *self._of_faces(scored), *self._of_words(scored)]
        return tuple([shift for shift in await asyncio.gather(*map(_unless_refused, asked)) if shift is not None])

    def sensitive(self, shifts: Sequence[Shift]) -> tuple[str, ...]:
        """The names of the nuisances that move the score by more than their thresholds."""
        return tuple(own.name for own in shifts if abs(own.score) > self._thresholds.get(own.key, float("inf")))

    def _of_sound(self, scored: ScoredWindow) -> Iterator[Awaitable[Shift]]:
        if not scored.inputs.audio_mask.any():
            return
        for mark in SOUND_PROBES:
            sound = _all_of(_with_sound(chunk, mark.name) for chunk in scored.window.audio)
            if sound is not None:
                yield self._shift(scored, mark.name, Modality.AUDIO, _rebuilt(scored, msgspec.structs.replace(scored.window, audio=sound)))

    def _of_faces(self, scored: ScoredWindow) -> Iterator[Awaitable[Shift]]:
        if not scored.inputs.video_mask.any():
            return
        for mark in FACE_PROBES:
            faces = _all_of(_with_face(chunk, mark.name) for chunk in scored.window.video)
            if faces is not None:
                yield self._shift(scored, mark.name, Modality.VIDEO, _rebuilt(scored, msgspec.structs.replace(scored.window, video=faces)))

    def _of_words(self, scored: ScoredWindow) -> Iterator[Awaitable[Shift]]:
        """Words that their producer has encoded are left out: with another encoder, the encoders would be compared."""
        words = scored.window.words()
        if words and scored.window.word_states() is None:
            # Not by the session's name: the same media give the same records.
            filler, place = filler_and_place(f"{scored.window.track.track}/{scored.window.end_ms}", len(words))
            yield self._with_filler(scored, filler, (*words[:place], _said(filler, words, place), *words[place:]))

    async def _with_filler(self, scored: ScoredWindow, filler: str, words: Sequence[Word]) -> Shift:
        states = await word_states(self._models, self._tokenizer, words, scored.words_before)
        return await self._shift(scored, f"word {filler}", Modality.TEXT, with_words(scored.inputs, words, states, scored.window.start_ms))

    async def _shift(self, scored: ScoredWindow, name: str, modality: Modality, inputs: WindowInputs) -> Shift:
        marked = await self._models.coalitions(inputs, scored.inference.version)
        (before, score), (after, marked_score) = (_of(modality, scored, answer) for answer in (scored.inference, marked))
        return Shift(name, rounded(after - before), rounded(marked_score - score), alone=scored.window.present() == (modality,))


async def _unless_refused(probe: Awaitable[Shift]) -> Shift | None:
    """What a probe has shown; None if the model refuses the marked window: that says nothing against the window itself."""
    try:
        return await probe
    except ModelRejectedError:
        return None


def _of(modality: Modality, scored: ScoredWindow, answer: Coalitions) -> tuple[float, float]:
    """The contribution of a modality, and the score, of the players that the window has."""
    scores = restricted(answer.scores, scored.window.present(), has_context=bool(scored.inputs.past_mask.any()))
    return shapley_values(scores).modalities[modality], scores[EVERYTHING]


def _rebuilt(scored: ScoredWindow, window: Window) -> WindowInputs:
    return with_context(build(window, scored.states), window, scored.context, scored.earlier)


def _all_of(chunks: Iterable[Chunk | None]) -> tuple[Chunk, ...] | None:
    """The chunks with a nuisance; None if one of them was not encoded with it."""
    given = tuple(chunks)
    found = tuple(chunk for chunk in given if chunk is not None)
    return found if len(found) == len(given) else None


def _with_sound(chunk: AudioFeatures, name: str) -> AudioFeatures | None:
    """A chunk with a nuisance; silence stays as it is. None if it was not encoded with the nuisance."""
    if not chunk.audible.any():
        return chunk
    marked = chunk.marked.get(name)
    return None if marked is None else replace(chunk, embeddings=marked.embeddings, audible=marked.audible)


def _with_face(chunk: VideoFeatures, name: str) -> VideoFeatures | None:
    if not len(chunk.spans_ms):
        return chunk
    marked = chunk.marked.get(name)
    return None if marked is None else replace(chunk, embeddings=marked)


def _said(filler: str, words: Sequence[Word], place: int) -> Word:
    """A word between two words, or at an end, that takes the time between them."""
    start_ms = words[place - 1].end_ms if place else words[0].start_ms
    return Word(filler, start_ms, max(start_ms, words[place].start_ms) if place < len(words) else start_ms)
