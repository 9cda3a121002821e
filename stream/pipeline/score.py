"""Scores windows: encodes the words, runs the model and explains the result."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence

from msgspec.structs import replace

from stream.domain.disclosure import Disclosure
from stream.domain.features import Floats, Word
from stream.domain.inference import Extra, WindowInputs
from stream.domain.result import ExplanationRecord, ModelVersion, PartialRecord, ScoreRecord
from stream.domain.sampling import in_share
from stream.domain.window import Window
from stream.encoders.context_inputs import contribution, with_context
from stream.encoders.text import Tokenizer
from stream.encoders.window_inputs import build, with_words
from stream.explain.records import NOTHING_MEASURED, Measured, final_records, partial_record
from stream.pipeline.live_reveal import LiveReveal
from stream.pipeline.metrics import Metrics
from stream.pipeline.probes import ScoredWindow
from stream.pipeline.shadow import Shadow
from stream.pipeline.timings import Step, Timings
from stream.pipeline.window_context import WindowContext
from stream.pipeline.word_claims import SpokenWindow, WordClaims
from stream.pipeline.word_states import TextMemory, word_states
from stream.serving.models import Models
from stream.sinks.stored_window import stored_window
from stream.sinks.window_keeper import WindowKeeper


class WindowScorer:
    """Scores and explains windows with the models that Triton serves.

    Args:
        models: Triton's models.
        tokenizer: Of the text encoder.
        allowed_lateness_ms: How long windows stay open for late chunks.
        timings: Receives the duration of each step.
        metrics: Receives the number of windows by version.
        keeper: Keeps what scored each final window, before anybody can read its result.
        word_claims: Measures what phrases of final windows do to the score; None: nothing is said of phrases.
        truth_share: Share of the windows with words whose claims are checked.
        shadow: Has a share of the windows scored by another version, too.
        disclosure: What explanations show of words.
        verify_encoded: Whether phrases are removed, too, in windows whose words their producer has encoded.
        live_reveal: Probes a share of the windows with nuisances; None: nothing is said of nuisances.
    """

    def __init__(
        self,
        models: Models,
        tokenizer: Tokenizer,
        allowed_lateness_ms: int,
        timings: Timings | None = None,
        *,
        metrics: Metrics | None = None,
        keeper: WindowKeeper | None = None,
        word_claims: WordClaims | None = None,
        truth_share: float = 0.0,
        shadow: Shadow | None = None,
        disclosure: Disclosure = Disclosure.REDACTED,
        verify_encoded: bool = False,
        live_reveal: LiveReveal | None = None,
    ) -> None:
        self._models = models
        self._tokenizer = tokenizer
        self._allowed_lateness_ms = allowed_lateness_ms
        self._timings = timings or Timings()
        self._metrics = metrics or Metrics()
        self._keeper = keeper
        self._word_claims = word_claims
        self._truth_share = truth_share
        self._shadow = shadow
        self._disclosure = disclosure
        self._verify_encoded = verify_encoded
        self._live_reveal = live_reveal

    async def default_version(self) -> str:
        """The version that scores where none was ever promoted."""
        return await self._models.default_version()

    async def final(self, window: Window, context: WindowContext, version: str) -> tuple[ScoreRecord, ExplanationRecord]:
        """Score and explanation of a closed window, by a version of the model."""
        began = time.perf_counter()
        inputs, scored, model = await self._infer(window, context, version)
        inference = None if scored is None else scored.inference
        answered = time.perf_counter()
        measured = await self._measured(scored, context.texts)
        records = final_records(
            window,
            inputs,
            inference,
            model,
            self._allowed_lateness_ms,
            measured=measured,
            redacted=context.redacted,
            disclosure=self._disclosure,
        )
        if self._live_reveal is not None and scored is not None:
            self._live_reveal.observe_words(window, measured.claims, scored, context.redacted)
        self._metrics.count_scored(model.version)
        self._timings.add(Step.INFER, (answered - began) * 1000)
        self._timings.add(Step.EXPLAIN, (time.perf_counter() - answered) * 1000)
        if self._shadow is not None:
            self._shadow.compare(window, inputs, records[0])
        if self._keeper is not None:
            await self._keeper.keep(stored_window(window, inputs, records, context.words_before, context.redacted))
        return records

    async def partial(self, window: Window, context: WindowContext, version: str) -> PartialRecord:
        """Score of an open window, by a version of the model."""
        inputs, scored, model = await self._infer(window, context, version)
        return partial_record(window, inputs, None if scored is None else scored.inference, model, self._allowed_lateness_ms)

    async def encode_words(self, window: Window, context: WindowContext) -> None:
        """Encode the words of an open window, unless their producer has; the memory of its track keeps them for the final window."""
        # The window closes when the lateness is over, or later. Half of it is left for the request itself, as the machine may be busy.
        await self._word_states(window, context, self._allowed_lateness_ms / 2000)

    async def _infer(self, window: Window, context: WindowContext, version: str) -> tuple[WindowInputs, ScoredWindow | None, ModelVersion]:
        """Inputs of the window, the model's answer with what it follows from, and the version that it came from.

        The model is not asked about a window in which nothing is present: that window names the version of its epoch.
        """
        states = await self._word_states(window, context)
        alone = build(window, states)
        # Contribute first: windows of the context may wait for this window, directly or through others, and all would wait for ever.
        context.contribute(replace(contribution(window, alone), redacted=context.redacted))
        if not window.present():
            return alone, None, await self._models.named(version)
        features, earlier = await context.features(), await context.earlier()
        inputs = with_context(alone, window, features, earlier)
        inference = await self._models.infer(inputs, version, self._extras(window, inputs))
        scored = ScoredWindow(window, states, context.words_before, features, earlier, inputs, inference)
        return inputs, scored, await self._models.named(inference.version)

    def _extras(self, window: Window, inputs: WindowInputs) -> frozenset[Extra]:
        """Further outputs for the explanation. Windows share a request only with those that want the same, so few kinds are asked for."""
        # The slope of the faces is of use only where their cells are known, too.
        wanted = {Extra.FACE_SLOPE: inputs.video_cells is not None, Extra.WORD_EFFECTS: self._word_claims is not None}
        return frozenset(extra for extra in wanted if wanted[extra] and window.is_final)

    async def _measured(self, scored: ScoredWindow | None, texts: TextMemory) -> Measured:
        """What phrases and nuisances do to the score. Both are asked for together, so that they share requests."""
        if scored is None:
            return NOTHING_MEASURED
        if self._live_reveal is None or not self._live_reveal.covers(scored.window):
            return await self._without_phrases(scored, texts)
        measured, sensitive = await asyncio.gather(self._without_phrases(scored, texts), self._live_reveal.probe(scored))
        return dataclasses.replace(measured, sensitive=sensitive)

    async def _without_phrases(self, scored: ScoredWindow, texts: TextMemory) -> Measured:
        """What phrases do to the score."""
        window, inputs, inference = scored.window, scored.inputs, scored.inference
        words = window.words()
        encoded_by_producer = window.word_states() is not None
        if self._word_claims is None or not words or (encoded_by_producer and not self._verify_encoded):
            return NOTHING_MEASURED
        if encoded_by_producer:
            # With and without a phrase, the words must come from one encoder: otherwise the encoders are compared.
            inputs = with_words(inputs, words, await self._encoded(words, scored.words_before, texts), window.start_ms)
            inference = await self._models.infer(inputs, inference.version, self._extras(window, inputs))
        spoken = SpokenWindow(words, scored.words_before, inputs, inference, window.start_ms, texts)
        found = await self._word_claims.find(spoken, in_full=in_share(window.id, self._truth_share))
        if found.truth is not None:
            self._metrics.count_word_truth(found.truth)
        return found.measured

    async def _word_states(self, window: Window, context: WindowContext, spare_s: float = 0.0) -> Floats:
        """The states that the producer sent, or those from the text encoder."""
        states = window.word_states()
        return await self._encoded(window.words(), context.words_before, context.texts, spare_s) if states is None else states

    async def _encoded(self, words: Sequence[Word], words_before: tuple[str, ...], texts: TextMemory, spare_s: float = 0.0) -> Floats:
        return await word_states(self._models, self._tokenizer, words, words_before, texts, spare_s=spare_s)
