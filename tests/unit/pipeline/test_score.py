"""The scorer passes each window and its context to the model."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from msgspec import structs

from stream.domain.context import CONTEXT_KEPT, ContextFeatures, ContextWindow
from stream.domain.features import Floats, TextFeatures, Word
from stream.domain.identity import TrackKey
from stream.domain.inference import Extra, Inference, WindowInputs
from stream.domain.media_format import FACE_CELLS
from stream.domain.modality import Modality
from stream.domain.result import ModelVersion
from stream.domain.window import Window
from stream.encoders.text import TokenisedWords, default_tokenizer
from stream.pipeline.score import WindowScorer
from stream.pipeline.window_context import ContextStore
from stream.serving.models import Models
from stream.sinks.stored_window import StoredWindow
from stream.sinks.window_keeper import WindowKeeper
from tests.fakes.windows import MODEL, make_inference, make_window


class RecordingModels:
    """Gives every window a neutral score and records its tensors."""

    def __init__(self) -> None:
        self.inputs: list[WindowInputs] = []
        self.extras: list[frozenset[Extra]] = []
        self.sentences: list[int] = []
        """Number of words of each request to the text encoder."""

    async def named(self, version: str) -> ModelVersion:
        return structs.replace(MODEL, version=version)

    async def encode_text(self, tokenised: TokenisedWords, spare_s: float = 0.0) -> Floats:
        self.sentences.append(tokenised.words)
        return np.full((tokenised.input_ids.shape[0], 384), float(tokenised.words), np.float32)

    async def infer(self, inputs: WindowInputs, version: str, extras: frozenset[Extra] = frozenset()) -> Inference:
        self.extras.append(extras)
        self.inputs.append(inputs)
        return replace(make_inference([0.0] * 8), version=version)


def later(window: Window, by_ms: int, *context: ContextWindow) -> Window:
    """A window with one word, and with these windows of its own track before it."""
    start_ms = window.start_ms + by_ms
    again = (TextFeatures((Word("again", start_ms, start_ms + 100),)),)
    return structs.replace(window, start_ms=start_ms, end_ms=window.end_ms + by_ms, text=again, context=context, earlier=context)


async def test_the_model_gets_a_window_with_the_contributions_of_its_context() -> None:
    models, context_store = RecordingModels(), ContextStore()
    scorer = WindowScorer(cast(Models, models), default_tokenizer(), 500)
    first = make_window(["well", "then"])
    second = later(first, 1000, ContextWindow("customer", first.start_ms, first.end_ms))
    contexts = [context_store.context_of(window) for window in (first, second)]
    await scorer.final(first, contexts[0], "1")
    await scorer.final(second, contexts[1], "1")
    assert [inputs.past_mask.sum() for inputs in models.inputs] == [0.0, 1.0]
    assert models.inputs[1].past_words[0].tolist() == [2.0] * 384
    assert models.inputs[1].words[0].tolist() == [3.0] * 384, "the text encoder sees the sentence of three words"
    assert models.inputs[1].word_mask.sum() == 1
    assert models.inputs[1].past_same.tolist() == [1.0, 0.0, 0.0, 0.0]
    contribution = contexts[0].contributed
    assert contribution is not None
    assert contribution.window == ("customer", first.start_ms, first.end_ms)


async def test_no_window_waits_for_the_windows_of_its_sentence_before_it_contributes() -> None:
    models, context_store = RecordingModels(), ContextStore()
    scorer = WindowScorer(cast(Models, models), default_tokenizer(), 500)
    first = make_window(["well", "then"])
    second = later(first, 1000, ContextWindow("customer", first.start_ms, first.end_ms))
    contexts = [context_store.context_of(window) for window in (first, second)]
    waiting = asyncio.create_task(scorer.final(second, contexts[1], "1"))
    await asyncio.sleep(0.01)
    assert contexts[1].words_before == ("well", "then")
    assert (contexts[0].contributed, contexts[1].contributed is None, waiting.done()) == (None, False, False)
    await scorer.final(first, contexts[0], "1")
    await waiting


async def test_words_of_another_track_begin_no_sentence() -> None:
    context_store = ContextStore()
    first = make_window(["well", "then"])
    other = structs.replace(first, track=TrackKey(first.track.session, "agent"), text=(TextFeatures((Word("so", 4100, 4900),)),))
    own, of_other = (ContextWindow(w.track.track, w.start_ms, w.end_ms) for w in (first, other))
    for window in (other, first):
        context_store.context_of(window)
    second = structs.replace(later(first, 1000, own), context=(own, of_other))
    assert context_store.context_of(second).words_before == ("well", "then")


async def test_states_that_a_producer_sent_stay_as_they_are() -> None:
    models, context_store = RecordingModels(), ContextStore()
    scorer = WindowScorer(cast(Models, models), default_tokenizer(), 500)
    first = make_window(["well", "then"])
    second = later(first, 1000, ContextWindow("customer", first.start_ms, first.end_ms))
    sent = tuple(replace(chunk, states=np.full((1, 384), 0.5, np.float32)) for chunk in second.text)
    second = structs.replace(second, text=sent)
    contexts = [context_store.context_of(window) for window in (first, second)]
    await scorer.final(first, contexts[0], "1")
    await scorer.final(second, contexts[1], "1")
    assert models.inputs[1].words[0].tolist() == [0.5] * 384
    assert models.sentences == [2]


async def test_the_oldest_windows_are_forgotten_first() -> None:
    store, window = ContextStore(), make_window(["well"])
    ends = range(100_000, 100_000 + CONTEXT_KEPT * 1000, 1000)
    for end_ms in ends:
        store.context_of(structs.replace(window, start_ms=end_ms - 1000, end_ms=end_ms))
    store.add(ContextFeatures("customer", 0, end_ms, {}) for end_ms in range(1000, 50_000, 1000))
    every = tuple(ContextWindow("customer", end_ms - 1000, end_ms) for end_ms in ends)
    newest = structs.replace(window, start_ms=ends[-1], end_ms=ends[-1] + 1000, earlier=every, is_final=False)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(store.context_of(newest).earlier(), 0.01)


async def test_the_model_is_not_asked_about_a_window_in_which_nothing_is_present() -> None:
    models, context_store = RecordingModels(), ContextStore()
    scorer = WindowScorer(cast(Models, models), default_tokenizer(), 500)
    music = make_window(segments=4)
    music = structs.replace(music, audio=(replace(music.audio[0], voiced=np.zeros(4, np.bool_)),))
    context = context_store.context_of(music)
    score, explanation = await scorer.final(music, context, "1")
    partial = await scorer.partial(structs.replace(music, is_final=False), context, "1")
    assert (score.score, partial.score, score.model) == (None, None, MODEL)
    assert explanation.sentence.startswith("Nothing was said")
    assert models.inputs == []
    assert context.contributed is not None
    assert context.contributed.mean(Modality.AUDIO) is not None


async def test_the_slope_of_faces_is_asked_for_only_where_their_cells_are_known() -> None:
    models, context_store = RecordingModels(), ContextStore()
    scorer = WindowScorer(cast(Models, models), default_tokenizer(), 500)
    plain = make_window(["well"], frames=2)
    known = structs.replace(plain, video=(replace(plain.video[0], cells=np.zeros((2, *FACE_CELLS), np.float16)),))
    for window in (plain, known):
        await scorer.final(window, context_store.context_of(window), "1")
    assert models.extras == [frozenset(), {Extra.FACE_SLOPE}]


class RecordingKeeper:
    def __init__(self) -> None:
        self.kept: list[StoredWindow] = []

    async def keep(self, window: StoredWindow) -> None:
        self.kept.append(window)


async def test_what_scored_a_final_window_is_kept_with_the_words_before_it() -> None:
    models, context_store, keeper = RecordingModels(), ContextStore(), RecordingKeeper()
    scorer = WindowScorer(cast(Models, models), default_tokenizer(), 500, keeper=cast(WindowKeeper, keeper))
    first = make_window(["well", "then"])
    second = later(first, 1000, ContextWindow("customer", first.start_ms, first.end_ms))
    records = [await scorer.final(window, context_store.context_of(window), "1") for window in (first, second)]
    await scorer.partial(structs.replace(second, is_final=False), context_store.context_of(structs.replace(second, is_final=False)), "1")
    assert [(kept.score, kept.explanation) for kept in keeper.kept] == records
    assert [kept.words_before for kept in keeper.kept] == [(), ("well", "then")]
    assert [kept.inputs for kept in keeper.kept] == models.inputs[:2]
    assert [word.text for word in keeper.kept[0].words] == ["well", "then"]
