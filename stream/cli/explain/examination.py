"""Looks at a stored window again: scores it with the served models, and gathers everything that the table and the page show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stream.cli.explain.methods import MethodResult, Setting, blocking, compared
from stream.cli.explain.rows import Row, rows_of
from stream.cli.explain.served import Served
from stream.cli.explain.shown import EARLIER
from stream.cli.explain.voice_bands import BandEffect, voice_bands
from stream.domain.disclosure import Disclosure
from stream.domain.features import Floats, Word
from stream.domain.inference import CONTEXT_BIT, EVERYTHING, Extra, Inference, WindowInputs
from stream.domain.modality import Modality
from stream.domain.result import ModelVersion
from stream.encoders.text import default_tokenizer
from stream.explain.face_maps import cell_relevance, grad_cam_of_cells
from stream.explain.phrases import phrases
from stream.explain.phrasing import UNCLEAR, goes_with
from stream.explain.phrasing import verdict as shown_label
from stream.explain.redaction.words import disclosed, personal
from stream.explain.score_and_label import ScoreAndLabel, score_and_label
from stream.explain.shapley import Contributions, restricted, shapley_values
from stream.pipeline.word_claims import SpokenWindow, WordClaims
from stream.sinks.stored_window import StoredWindow

OnStep = Callable[[str], object]
"""Called with what is done next."""

STEPS = ("score", "phrases", "voice")
"""Steps beside those of the explainers."""


@dataclass(frozen=True, slots=True)
class FaceMaps:
    """Where in one face the relevance lies, said by two methods; (36,) each, row by row."""

    start_ms: int
    end_ms: int
    relevance: float
    ours: Floats
    grad_cam: Floats


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found.

    Attributes:
        stored: The window.
        words: Its words as they may be shown, those of its nodes.
        model: The version that was asked.
        now: What it says; the same as what was published if it is the version that scored the window.
        base: Its score without anything.
        contributions: Shapley values of the modalities and of the earlier windows.
        rows: The rows of the table.
        methods: What each explainer says.
        without: By modality, and for the earlier windows: the verdict without it.
        phrases: The verdict without each phrase of `words`, the other words encoded again; the largest effect first.
        change: The smallest set of phrases found whose removal changes the label, and the label then.
        faces: Maps of the frames whose cells were stored.
        bands: Effects of bands of the voice, if the sound was stored.
    """

    stored: StoredWindow
    words: tuple[Word, ...]
    model: ModelVersion
    now: ScoreAndLabel
    base: float
    contributions: Contributions
    rows: tuple[Row, ...]
    methods: tuple[MethodResult, ...]
    without: dict[str, ScoreAndLabel]
    phrases: dict[range, ScoreAndLabel]
    change: tuple[tuple[range, ...], ScoreAndLabel] | None
    faces: tuple[FaceMaps, ...]
    bands: tuple[BandEffect, ...]

    @property
    def same_model(self) -> bool:
        """Whether the weights are those that scored the window."""
        return self.model.digest == self.stored.score.model.digest

    @property
    def label(self) -> str:
        """The label by the rules of the written summary: ``unclear`` if the model is unsure, or label and score contradict each other."""
        if self.same_model:
            return shown_label(self.stored.score)
        return self.now.label if goes_with(self.now.label, self.now.score) else UNCLEAR

    def method(self, name: str) -> Floats | None:
        """The relevance that an explainer gives; None if it was not asked or could not run."""
        return next((method.relevance for method in self.methods if method.name == name), None)


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted of an examination.

    Attributes:
        model: The version that is asked.
        names: The explainers to compare.
        setting: What they are made from.
        disclosure: How much of what was said may be shown.
        on_step: Called before each step.
    """

    model: ModelVersion
    names: Sequence[str]
    setting: Setting
    disclosure: Disclosure
    on_step: OnStep

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(STEPS) + len(self.names)


async def examine(stored: StoredWindow, served: Served, request: Request) -> Examination:
    """Examine a window that has a score."""
    request.on_step(STEPS[0])
    inputs = stored.inputs
    extras = frozenset() if inputs.video_cells is None else frozenset({Extra.FACE_SLOPE})
    (inference,) = await served.answers([inputs], extras)
    now, present = score_and_label(inputs, inference), stored.score.modalities_present
    scores = restricted(inference.scores, present, has_context=bool(inputs.past_mask.any()))
    without = {str(modality): score_and_label(inputs, inference, EVERYTHING & ~modality.bit) for modality in present}
    if inputs.past_mask.any():
        without[EARLIER] = score_and_label(inputs, inference, EVERYTHING & ~CONTEXT_BIT)
    methods = await _methods(inputs, served, request)
    request.on_step(STEPS[1])
    found, change = await _phrases(stored, served, inference, now)
    request.on_step(STEPS[2])
    contributions = shapley_values(scores)
    hidden = personal(stored.words, stored.words_before, stored.redacted)
    return Examination(
        stored=stored,
        words=disclosed(stored.words, hidden, request.disclosure)[inputs.words_dropped :],
        model=request.model,
        now=now,
        base=scores[0],
        contributions=contributions,
        rows=rows_of(inputs),
        methods=methods,
        without=without,
        phrases=found,
        change=change,
        faces=_faces(inputs, inference, now.score),
        bands=tuple(await voice_bands(served, stored, contributions.modalities[Modality.AUDIO])),
    )


async def _methods(inputs: WindowInputs, served: Served, request: Request) -> tuple[MethodResult, ...]:
    """Run each explainer in a thread, because it may block: it asks the served models through this event loop."""
    _, value = blocking(served, asyncio.get_running_loop())
    found = []
    for name in request.names:
        request.on_step(name)
        found.append(await asyncio.to_thread(compared, name, inputs, request.setting, value))
    return tuple(found)


async def _phrases(
    stored: StoredWindow, served: Served, inference: Inference, now: ScoreAndLabel
) -> tuple[dict[range, ScoreAndLabel], tuple[tuple[range, ...], ScoreAndLabel] | None]:
    """The verdict without each phrase, and the label change. Words whose states came from their producer cannot be encoded again."""
    if not stored.words_encoded or not stored.inputs.word_nodes:
        return {}, None
    spoken = SpokenWindow(stored.words, stored.words_before, stored.inputs, inference, stored.score.start_ms)
    found = phrases(stored.inputs.word_nodes)
    claims = WordClaims(served.models, default_tokenizer(), most=len(found))
    every = await claims.without_each(spoken, found)
    ranked = {phrase: every[phrase] for phrase in sorted(every, key=lambda phrase: -abs(now.score - every[phrase].score))}
    changing = await claims.label_change(spoken, now, every)
    return ranked, None if changing is None else (changing, (await claims.without(spoken, [changing]))[0])


def _faces(inputs: WindowInputs, inference: Inference, score: float) -> tuple[FaceMaps, ...]:
    """The maps of all frames, in order of time; none if their cells are not known."""
    if inputs.video_cells is None or inference.face_slope is None:
        return ()
    first = len(inputs.word_mask) + len(inputs.audio_mask)
    maps = []
    for row, (start_ms, end_ms) in enumerate(inputs.video_spans_ms):
        cells, slope, relevance = inputs.video_cells[row], inference.face_slope[row], float(inference.relevance[first + row])
        ours = cell_relevance(cells, slope, relevance)
        maps.append(FaceMaps(start_ms, end_ms, relevance, ours, grad_cam_of_cells(cells, slope, 1.0 if score >= 0 else -1.0)))
    return tuple(maps)
