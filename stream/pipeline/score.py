"""Windows to records: encode the words, ask the model, explain."""

from __future__ import annotations

import asyncio

import numpy as np

from stream.domain.inference import Inference, WindowInputs
from stream.domain.result import ExplanationRecord, ModelVersion, PartialRecord, ScoreRecord
from stream.domain.window import Window
from stream.encoders.shapes import WORD_WIDTH
from stream.encoders.text import Tokenizer, pool_words
from stream.encoders.window_inputs import build
from stream.explain.records import explanation_record, partial_record, score_record
from stream.serving.models import Models


class WindowScorer:
    """Scores and explains windows with the models that Triton serves; make it in a running event loop, and close it there.

    Which weights speak is asked once, at the start, so that a worker can join its group while Triton is still loading.
    """

    def __init__(self, models: Models, tokenizer: Tokenizer, allowed_lateness_ms: int) -> None:
        self._models = models
        self._tokenizer = tokenizer
        self._version: asyncio.Task[ModelVersion] = asyncio.create_task(models.mmci_version())
        self._allowed_lateness_ms = allowed_lateness_ms

    def close(self) -> None:
        """Stop asking."""
        self._version.cancel()

    async def final(self, window: Window) -> tuple[ScoreRecord, ExplanationRecord]:
        """Score and explanation of a closed window."""
        inputs, inference, model = await self._infer(window)
        return (
            score_record(window, inputs, inference, model, self._allowed_lateness_ms),
            explanation_record(window, inputs, inference),
        )

    async def partial(self, window: Window) -> PartialRecord:
        """Score of an open window."""
        inputs, inference, model = await self._infer(window)
        return partial_record(window, inputs, inference, model, self._allowed_lateness_ms)

    async def _infer(self, window: Window) -> tuple[WindowInputs, Inference, ModelVersion]:
        words = [word.text for word in window.words()]
        states = np.zeros((0, WORD_WIDTH), np.float32)
        if words:
            tokenised = self._tokenizer.tokenise(words)
            states = pool_words(await self._models.encode_text(tokenised), tokenised)
        inputs = build(window, states)
        return inputs, await self._models.infer(inputs), await asyncio.shield(self._version)
