"""Windows to records: encode the words, ask the model, explain."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import Inference, WindowInputs
from stream.domain.result import ExplanationRecord, ModelVersion, PartialRecord, ScoreRecord
from stream.domain.window import Window
from stream.encoders.past_inputs import left_behind, with_past
from stream.encoders.shapes import WORD_WIDTH
from stream.encoders.text import Tokenizer, pool_words
from stream.encoders.window_inputs import build
from stream.explain.records import final_records, partial_record
from stream.pipeline.memory import Recall
from stream.pipeline.timings import Step, Timings
from stream.serving.models import Models


class WindowScorer:
    """Scores and explains windows with the models that Triton serves; make it in a running event loop, and close it there.

    Which weights speak is asked once, at the start, so that a worker can join its group while Triton is still loading.
    """

    def __init__(self, models: Models, tokenizer: Tokenizer, allowed_lateness_ms: int, timings: Timings | None = None) -> None:
        self._models = models
        self._tokenizer = tokenizer
        self._version: asyncio.Task[ModelVersion] = asyncio.create_task(models.mmci_version())
        self._allowed_lateness_ms = allowed_lateness_ms
        self._timings = timings or Timings()

    def close(self) -> None:
        """Stop asking."""
        self._version.cancel()

    async def final(self, window: Window, recall: Recall) -> tuple[ScoreRecord, ExplanationRecord]:
        """Score and explanation of a closed window."""
        began = time.perf_counter()
        inputs, inference, model = await self._infer(window, recall)
        answered = time.perf_counter()
        records = final_records(window, inputs, inference, model, self._allowed_lateness_ms)
        self._timings.add(Step.INFER, (answered - began) * 1000)
        self._timings.add(Step.EXPLAIN, (time.perf_counter() - answered) * 1000)
        return records

    async def partial(self, window: Window, recall: Recall) -> PartialRecord:
        """Score of an open window."""
        inputs, inference, model = await self._infer(window, recall)
        return partial_record(window, inputs, inference, model, self._allowed_lateness_ms)

    async def _infer(self, window: Window, recall: Recall) -> tuple[WindowInputs, Inference, ModelVersion]:
        alone = build(window, await self._word_states(window))
        recall.leave(left_behind(window, alone))
        inputs = with_past(alone, window, await recall.past())
        inference = await self._models.infer(inputs)
        return inputs, inference, self._version.result() if self._version.done() else await asyncio.shield(self._version)

    async def _word_states(self, window: Window) -> Floats:
        """The producer's, or those of our own encoder, which then sees all words of the window together."""
        words = [word.text for word in window.words()]
        if not words:
            return np.zeros((0, WORD_WIDTH), np.float32)
        states = window.word_states()
        if states is None:
            tokenised = self._tokenizer.tokenise(words)
            states = pool_words(await self._models.encode_text(tokenised), tokenised)
        return states
