"""The words of a window are encoded before it closes. Nobody can see from its result whether they were."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from stream.config.media_settings import WindowSettings
from stream.config.settings import Settings
from stream.domain.delivery import InboundRecord
from stream.domain.features import Floats, Word
from stream.domain.inference import COALITIONS, Inference, WindowInputs
from stream.domain.kafka_records import chunk_headers, encode_words
from stream.domain.modality import Modality
from stream.domain.result import encode_record
from stream.domain.session_events import SessionStart, TrackPlan
from stream.domain.window import Window
from stream.encoders.text import TokenisedWords, default_tokenizer
from stream.pipeline.score import WindowScorer
from stream.pipeline.window_context import WindowContext
from stream.pipeline.word_claims import WordClaims
from stream.serving.models import Models
from tests.fakes.chunks import header
from tests.fakes.processing_context import FakeScorer, FakeWorker
from tests.fakes.windows import make_inference
from tests.fakes.word_models import WordModels

START = SessionStart(0, (TrackPlan("customer", "customer", (Modality.TEXT,)),))
SPOKEN = ("a", "good", "film", "with", "awful", "sound", "but", "short")
TRACK = header(0).track


class Served(WordModels):
    """Text encoder and model; the encoder answers while `may_answer` is set."""

    def __init__(self) -> None:
        super().__init__({"good": 1.0, "awful": -1.5, "film": 0.2})
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.spare_s: list[float] = []
        self.given_up = 0

    async def default_version(self) -> str:
        return "1"

    async def encode_text(self, tokenised: TokenisedWords, spare_s: float = 0.0) -> Floats:
        self.spare_s.append(spare_s)
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return await super().encode_text(tokenised, spare_s)

    async def infer(self, inputs: WindowInputs, version: str = "1", extras: frozenset[object] = frozenset()) -> Inference:
        said = inputs.words[:, 0] * inputs.word_mask
        nodes = np.concatenate([said, np.zeros(len(inputs.audio) + len(inputs.video), np.float32)])
        scores = [float(said.sum()) if index & Modality.TEXT.bit else 0.0 for index in range(COALITIONS)]
        return replace(make_inference(scores), causal=nodes, relevance=nodes)


class Refusing(WindowScorer):
    """Cannot encode ahead."""

    async def encode_words(self, window: Window, context: WindowContext) -> None:
        raise RuntimeError("not ahead")


def worker_on(models: Served, kind: type[WindowScorer] = WindowScorer) -> FakeWorker:
    served = cast(Models, models)
    scorer = kind(served, default_tokenizer(), 500, word_claims=WordClaims(served, default_tokenizer(), 4))
    return FakeWorker(cast(FakeScorer, scorer), settings=Settings(windows=WindowSettings(partial_every_ms=0)))


def said(worker: FakeWorker, seq: int) -> InboundRecord:
    about = header(seq)
    words = encode_words([Word(SPOKEN[seq], about.start_ms, about.end_ms)])
    return worker.record(worker.topics.chunks(Modality.TEXT), str(about.session).encode(), words, chunk_headers(about))


async def told(worker: FakeWorker, models: Served, seqs: Sequence[int]) -> list[int]:
    """Feed the seconds one after the other; how many texts were encoded after each."""
    await worker.feed(worker.event(START))
    counts = []
    for seq in seqs:
        await worker.feed(said(worker, seq))
        counts.append(len(models.encoded))
    return counts


def records(worker: FakeWorker) -> list[bytes]:
    scores, explanations = worker.store.scores[TRACK], worker.store.explanations[TRACK]
    return [*map(encode_record, scores), *map(encode_record, explanations)]


async def test_the_words_are_encoded_before_the_window_closes_and_no_text_is_encoded_twice() -> None:
    ahead, later = Served(), Served()
    with_it, without = worker_on(ahead), worker_on(later, Refusing)
    counts, counts_without = await told(with_it, ahead, range(8)), await told(without, later, range(8))
    assert (counts[:4], counts_without[:4]) == ([0, 0, 0, 1], [0, 0, 0, 0])
    assert ahead.encoded[0] == 4
    assert (ahead.spare_s[0], ahead.spare_s[1]) == (0.25, 0), "half of the allowed lateness: nothing waits for it before"
    # The last second lets the words of one more window be encoded, which has not closed yet.
    assert counts[-1] == counts_without[-1] + 1
    assert len(records(with_it)) == 4
    assert records(with_it) == records(without)
    assert not with_it.failures
    assert not without.failures


async def test_words_that_come_late_are_encoded_with_the_others_again() -> None:
    models, usual = Served(), Served()
    worker, other = worker_on(models), worker_on(usual)
    assert await told(worker, models, [0, 1, 3]) == [0, 0, 1]
    await worker.feed(said(worker, 2), said(worker, 4))
    await told(other, usual, range(5))
    assert models.encoded[:2] == [3, 4]
    assert records(worker) == records(other)


async def test_a_window_that_closes_meanwhile_waits_for_the_same_answer() -> None:
    models = Served()
    models.may_answer.clear()
    worker = worker_on(models)
    await told(worker, models, range(5))
    assert records(worker) == []
    models.may_answer.set()
    await worker.settle()
    assert (len(records(worker)), models.encoded.count(4)) == (2, 1)


async def test_nothing_is_encoded_ahead_while_windows_queue() -> None:
    models = Served()
    worker = worker_on(models)
    for _ in range(worker.settings.limits.windows_in_flight):
        await worker.context.window_slots.acquire()
    assert await told(worker, models, range(4)) == [0] * 4


async def test_what_is_encoded_ahead_is_given_up_with_its_track() -> None:
    models = Served()
    models.may_answer.clear()
    worker = worker_on(models)
    await told(worker, models, range(4))
    worker.router.stop()
    await worker.settle()
    assert models.given_up == 1
