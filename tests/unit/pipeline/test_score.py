"""The scorer passes each window and its context to the model."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
from msgspec import structs

from stream.domain.context import ContextWindow
from stream.domain.features import Floats, TextFeatures, Word
from stream.domain.inference import Inference, WindowInputs
from stream.domain.modality import Modality
from stream.domain.result import ModelVersion
from stream.domain.window import Window
from stream.encoders.text import TokenisedWords, default_tokenizer
from stream.pipeline.score import WindowScorer
from stream.pipeline.window_context import ContextStore
from stream.serving.models import Models
from tests.fakes.windows import MODEL, make_inference, make_window


class RecordingModels:
    """Gives every window a neutral score and records its tensors."""

    def __init__(self) -> None:
        self.inputs: list[WindowInputs] = []

    async def mmci_version(self) -> ModelVersion:
        return MODEL

    async def encode_text(self, tokenised: TokenisedWords) -> Floats:
        return np.full((tokenised.input_ids.shape[0], 384), float(tokenised.words), np.float32)

    async def infer(self, inputs: WindowInputs) -> Inference:
        self.inputs.append(inputs)
        return make_inference([0.0] * 8)


def later(window: Window, by_ms: int, *context: ContextWindow) -> Window:
    start_ms = window.start_ms + by_ms
    again = (TextFeatures((Word("again", start_ms, start_ms + 100),)),)
    return structs.replace(window, start_ms=start_ms, end_ms=window.end_ms + by_ms, text=again, context=context)


async def test_the_model_gets_a_window_with_the_contributions_of_its_context() -> None:
    models, context_store = RecordingModels(), ContextStore()
    scorer = WindowScorer(cast(Models, models), default_tokenizer(), 500)
    first = make_window(["well", "then"])
    second = later(first, 1000, ContextWindow("customer", first.end_ms))
    contexts = [context_store.context_of(window) for window in (first, second)]
    await scorer.final(first, contexts[0])
    await scorer.final(second, contexts[1])
    scorer.close()
    assert [inputs.past_mask.sum() for inputs in models.inputs] == [0.0, 1.0]
    assert models.inputs[1].past_words[0].tolist() == [2.0] * 384
    assert models.inputs[1].past_same.tolist() == [1.0, 0.0, 0.0, 0.0]
    contribution = contexts[0].contributed
    assert contribution is not None
    assert contribution.window == ("customer", first.end_ms)


async def test_the_model_is_not_asked_about_a_window_in_which_nothing_is_present() -> None:
    models, context_store = RecordingModels(), ContextStore()
    scorer = WindowScorer(cast(Models, models), default_tokenizer(), 500)
    music = make_window(segments=4)
    music = structs.replace(music, audio=(replace(music.audio[0], voiced=np.zeros(4, np.bool_)),))
    context = context_store.context_of(music)
    score, explanation = await scorer.final(music, context)
    partial = await scorer.partial(structs.replace(music, is_final=False), context)
    scorer.close()
    assert (score.score, partial.score, score.model) == (None, None, MODEL)
    assert explanation.sentence.startswith("Nothing was said")
    assert models.inputs == []
    assert context.contributed is not None
    assert context.contributed.mean(Modality.AUDIO) is not None
