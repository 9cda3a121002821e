"""A worker that takes over in the middle of a session gives the model the same tensors as the worker before it would have given."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from typing import cast

import numpy as np
import pytest
from msgspec import structs

from stream.config.media_settings import WindowSettings
from stream.config.settings import Settings
from stream.config.worker_settings import LimitSettings, PolicySettings
from stream.domain.chunk import Chunk
from stream.domain.delivery import InboundRecord
from stream.domain.features import AudioFeatures, Features, Floats, Word
from stream.domain.inference import Extra, Inference, WindowInputs
from stream.domain.kafka_records import chunk_headers, encode_words
from stream.domain.media_format import VOICE_WIDTH, WORD_WIDTH
from stream.domain.modality import Modality
from stream.domain.result import ExplanationRecord, ModelVersion, PartialRecord, ScoreRecord
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.domain.window import Window
from stream.encoders.text import TokenisedWords, default_tokenizer
from stream.pipeline.score import WindowScorer
from stream.pipeline.window_context import WindowContext
from stream.serving.models import Models
from tests.fakes.chunks import header
from tests.fakes.processing_context import FakeEncoder, FakeScorer, FakeStore, FakeWorker
from tests.fakes.windows import MODEL, make_inference

TRACKS = ("agent", "customer")
SECONDS = 44
START = SessionStart(0, tuple(TrackPlan(track, track, (Modality.TEXT, Modality.AUDIO)) for track in TRACKS))
END = SessionEnd(0, SECONDS * 1000, tuple(TrackEnd(track, {Modality.TEXT: SECONDS, Modality.AUDIO: SECONDS}) for track in TRACKS))
SILENCE_MS = 8000
"""After so much of it the last window is closed, also where the end of the session counts chunks that need not be read again."""
SPOKEN = "i called because the parcel never came and nobody at all told me why. that is bad! so what now and when"
SENTENCES = SPOKEN.split()

SETTINGS = {
    "defaults": WindowSettings(),
    "low latency": WindowSettings(length_ms=2000, hop_ms=1000, allowed_lateness_ms=200, idle_after_ms=1200),
    "utterances": WindowSettings(kind="utterance"),
}
Key = tuple[str, int]
"""Track and end of a window."""


class VoiceEncoder(FakeEncoder):
    """Reads words, and gives each second of a track's sound its own segments: some silent, all near the voice of the track."""

    async def encode(self, chunk: Chunk) -> Features:
        if chunk.header.modality is not Modality.AUDIO:
            return await super().encode(chunk)
        track, start_ms = chunk.header.track.track, chunk.header.start_ms
        rng = np.random.default_rng([TRACKS.index(track), start_ms])
        spans = np.arange(start_ms, start_ms + 1000, 100)[:, np.newaxis] + np.array([[0, 100]])
        audible = rng.random(10) < (0.2 if _is_quiet(track, start_ms // 1000) else 0.8)
        embeddings = rng.standard_normal((10, VOICE_WIDTH)).astype(np.float32) + 3 * TRACKS.index(track)
        return AudioFeatures(spans, embeddings, audible, audible)


class WholeSentenceModels:
    """Gives each token a state that depends on all tokens before it, and keeps the tensors of the window."""

    def __init__(self) -> None:
        self.inputs: WindowInputs | None = None

    async def named(self, _version: str) -> ModelVersion:
        return MODEL

    async def encode_text(self, tokenised: TokenisedWords, spare_s: float = 0.0) -> Floats:
        states = np.cumsum(tokenised.input_ids % 97).astype(np.float32) / 1000
        return np.repeat(states[:, np.newaxis], WORD_WIDTH, axis=1)

    async def infer(self, inputs: WindowInputs, _version: str, _extras: frozenset[Extra] = frozenset()) -> Inference:
        self.inputs = inputs
        nodes = np.zeros(len(inputs.words) + len(inputs.audio) + len(inputs.video), np.float32)
        return replace(make_inference([0.0] * 8), causal=nodes, relevance=nodes)


@dataclass
class TensorScorer:
    """Scores with the real scorer, and keeps the tensors and the earlier words of each window; of an open window those at the end."""

    finals: dict[Key, WindowInputs | None] = field(default_factory=dict)
    partials: dict[Key, WindowInputs | None] = field(default_factory=dict)
    words_before: dict[Key, tuple[str, ...]] = field(default_factory=dict)

    async def default_version(self) -> str:
        return MODEL.version

    async def final(self, window: Window, context: WindowContext, version: str) -> tuple[ScoreRecord, ExplanationRecord]:
        models = WholeSentenceModels()
        scorer = WindowScorer(cast(Models, models), default_tokenizer(), 0)
        records = await scorer.final(window, context, version)
        self.finals[window.track.track, window.end_ms] = models.inputs
        self.words_before[window.track.track, window.end_ms] = context.words_before
        return records

    async def partial(self, window: Window, context: WindowContext, version: str) -> PartialRecord:
        models = WholeSentenceModels()
        record = await WindowScorer(cast(Models, models), default_tokenizer(), 0).partial(window, context, version)
        self.partials[window.track.track, window.end_ms] = models.inputs
        return record

    async def encode_words(self, window: Window, context: WindowContext) -> None:
        await WindowScorer(cast(Models, WholeSentenceModels()), default_tokenizer(), 0).encode_words(window, context)


def _is_quiet(track: str, seq: int) -> bool:
    """The tracks take turns of some seconds, and sometimes speak at the same time."""
    return (seq // 5) % 3 == TRACKS.index(track)


def worker(kind: str, store: FakeStore | None = None, limits: LimitSettings | None = None) -> tuple[FakeWorker, TensorScorer]:
    scorer = TensorScorer()
    policy = PolicySettings(roles={"agent": "all"})
    settings = Settings(windows=SETTINGS[kind], limits=limits or LimitSettings(), policy=policy)
    return FakeWorker(cast(FakeScorer, scorer), store or FakeStore(), settings, VoiceEncoder), scorer


def second(worker: FakeWorker, track: str, seq: int, epoch: int = 0) -> list[InboundRecord]:
    """A second of words and of sound. A word has punctuation now and then, and each fourth turn ends an utterance."""
    key = b"acme/call-1"
    texts = [] if _is_quiet(track, seq) else [SENTENCES[(3 * seq + index) % len(SENTENCES)] for index in range(3)]
    words = [Word(text, seq * 1000 + 300 * index, seq * 1000 + 300 * index + 250) for index, text in enumerate(texts)]
    text, audio = header(seq, track=track, epoch=epoch), header(seq, Modality.AUDIO, track=track, epoch=epoch)
    return [
        worker.record(worker.topics.chunks(Modality.TEXT), key, encode_words(words, final=seq % 17 == 16), chunk_headers(text)),
        worker.record(worker.topics.chunks(Modality.AUDIO), key, b"media", chunk_headers(audio)),
    ]


def session(worker: FakeWorker) -> list[InboundRecord]:
    seconds = [record for seq in range(SECONDS) for track in TRACKS for record in second(worker, track, seq)]
    return [worker.event(START), *seconds, worker.event(END)]


def same(one: WindowInputs | None, other: WindowInputs | None) -> bool:
    if one is None or other is None:
        return one is other
    pairs = [(getattr(one, part.name), getattr(other, part.name)) for part in fields(WindowInputs)]
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


async def whole(kind: str, limits: LimitSettings | None = None) -> TensorScorer:
    """What a worker does that processes the whole session."""
    one, scorer = worker(kind, limits=limits)
    await one.feed(*session(one))
    await one.settle(0.5)
    assert not one.failures
    return scorer


@pytest.mark.parametrize("kind", SETTINGS)
async def test_a_worker_that_takes_over_builds_the_same_tensors(kind: str) -> None:
    expected = await whole(kind)
    assert any(inputs is not None and inputs.past_mask.any() for inputs in expected.finals.values())
    for crash_after in (31, 90, 137):
        first, before = worker(kind)
        records = session(first)
        await first.feed(*records[:crash_after])
        first.router.stop()
        published = {(track.track, final.end_ms) for track, finals in first.store.scores.items() for final in finals}
        successor, after = worker(kind, first.store)
        await successor.feed(*(record for record in records if (record.topic, record.offset) not in first.acknowledged))
        await successor.advance(SILENCE_MS)
        assert before.finals.keys() | after.finals.keys() == expected.finals.keys()
        assert published
        assert not after.finals.keys() & published
        for scorer in (before, after):
            for key, inputs in scorer.finals.items():
                assert same(inputs, expected.finals[key]), (crash_after, key)
                assert scorer.words_before[key] == expected.words_before[key], (crash_after, key)


async def test_a_single_window_slot_is_enough() -> None:
    expected, slow = await whole("defaults"), await whole("defaults", LimitSettings(windows_in_flight=1))
    assert slow.finals.keys() == expected.finals.keys()
    assert all(same(inputs, expected.finals[key]) for key, inputs in slow.finals.items())


async def test_voices_are_centred_on_what_was_heard_of_the_own_track_alone() -> None:
    expected = await whole("defaults")
    plain = VoiceEncoder()
    first, last = expected.finals["customer", 4000], expected.finals["customer", 44_000]
    assert first is not None
    assert last is not None
    features = [await plain.encode(_sound("customer", seq)) for seq in range(40, 44)]
    raw = np.concatenate([f.embeddings[f.audible] for f in features if isinstance(f, AudioFeatures)])
    heard = [await plain.encode(_sound("customer", seq)) for seq in range(8, 40)]
    earlier = np.concatenate([f.embeddings[f.audible] for f in heard if isinstance(f, AudioFeatures)])
    seconds = len(earlier) / 10
    offset = seconds / (seconds + 60) * earlier.mean(axis=0)
    assert np.allclose(last.audio[: len(raw)], raw - offset, atol=2e-3)
    assert not np.allclose(offset, 0, atol=0.1)


async def test_an_open_window_has_the_voice_and_the_words_that_the_final_window_will_have() -> None:
    expected, seen = await whole("defaults"), 0
    for key, partial in expected.partials.items():
        final = expected.finals[key]
        if partial is not None and final is not None:
            words, segments = len(partial.word_nodes), len(partial.audio_spans_ms)
            assert np.array_equal(partial.words[:words], final.words[:words]), key
            assert np.array_equal(partial.audio[:segments], final.audio[:segments]), key
            assert np.array_equal(partial.past_audio, final.past_audio), key
            seen += bool(expected.words_before[key] and words and segments)
    assert seen >= 5


def _sound(track: str, seq: int) -> Chunk:
    return Chunk(header(seq, Modality.AUDIO, track=track), b"media")


async def test_the_words_before_a_window_are_those_of_its_sentence() -> None:
    found = (await whole("defaults")).words_before
    assert found["customer", 4000] == ()
    assert found["customer", 6000] == ()
    assert _text(found["customer", 8000]) == "i called because the parcel never came and nobody at all told"
    assert found["customer", 12_000] == ()
    assert all(len(words) <= 24 for words in found.values())
    assert sum(bool(words) for words in found.values()) >= 10


@pytest.mark.parametrize("epoch", [0, 1])
async def test_neither_a_sentence_nor_a_voice_goes_on_in_another_epoch(epoch: int) -> None:
    one, scorer = worker("defaults")
    planned = SessionStart(epoch, START.tracks[1:])
    await one.feed(one.event(structs.replace(planned, epoch=0)), *chain.from_iterable(second(one, "customer", seq) for seq in range(4)))
    await one.feed(one.event(planned), *chain.from_iterable(second(one, "customer", seq, epoch) for seq in range(4, 8)))
    await one.advance(SILENCE_MS)
    alone, scorer_alone = worker("defaults")
    await alone.feed(alone.event(planned), *chain.from_iterable(second(alone, "customer", seq, epoch) for seq in range(4, 8)))
    await alone.advance(SILENCE_MS)
    assert bool(scorer.words_before["customer", 8000]) is (epoch == 0)
    assert same(scorer.finals["customer", 8000], scorer_alone.finals["customer", 8000]) is (epoch == 1)


def _text(words: Sequence[str]) -> str:
    return " ".join(words)


async def test_words_of_an_unfinished_sentence_are_in_no_log(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG):
        await whole("defaults")
    logged = caplog.text + "".join(capsys.readouterr())
    assert "parcel" not in logged
