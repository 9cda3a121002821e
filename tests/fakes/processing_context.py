"""The processing context of a worker, in memory: Redis, Kafka, the models and the clock, for unit tests only."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from msgspec import structs

from stream.config.settings import Settings
from stream.domain.alert import AlertRecord
from stream.domain.chunk import Chunk
from stream.domain.consent import ConsentStatement
from stream.domain.context import CONTEXT_KEPT, ContextFeatures, decode_context, encode_context, packed_mean
from stream.domain.delivery import FinaliseOutcome, InboundRecord, LastFinal, WindowAlerts
from stream.domain.epoch import EpochAssignment, SessionEpochs
from stream.domain.features import Features, TextFeatures, Word
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.kafka_records import Headers, chunk_headers, decode_words, encode_words, session_record
from stream.domain.modality import Modality
from stream.domain.result import ExplanationRecord, ModelVersion, PartialRecord, ScoreRecord, SessionRecord
from stream.domain.session_events import KeyedSessionEvent, SessionEvent
from stream.domain.topics import Topics
from stream.domain.window import Window
from stream.explain.changes import scores_after
from stream.explain.records import identity_fields
from stream.pipeline.ports import Addressed, ModelVersionOf
from stream.pipeline.processing_context import ProcessingContext
from stream.pipeline.router import SessionRouter
from stream.pipeline.window_context import WindowContext
from stream.rules.evaluate import RuleSet
from tests.fakes.chunks import MEDIA_START_AT_MS, header

MODEL = ModelVersion("mmci", "1", "0" * 12)


def score_of(window: Window, version: str = MODEL.version) -> ScoreRecord:
    """The score of a window: its number of words."""
    return ScoreRecord(
        **identity_fields(window),
        is_final=window.is_final,
        revision=window.revision,
        score=float(len(window.words())),
        label="neutral",
        confidence=1.0,
        probabilities={},
        modalities_present=window.present(),
        modalities_expected=window.modalities_expected,
        withheld=dict(window.withheld),
        shares={},
        faces=0,
        warnings=window.warnings,
        media_end_at_ms=window.media_end_at_ms,
        allowed_lateness_ms=0,
        model=structs.replace(MODEL, version=version),
        sync=window.clock_skews,
    )


def contribution_of(window: Window) -> ContextFeatures:
    """What a window contributes to the context of later windows: its number of words."""
    mean = packed_mean(np.array([[len(window.words())]], np.float32))
    return ContextFeatures(window.track.track, window.epoch, window.end_ms, {Modality.TEXT: mean}, window.start_ms)


def explanation_of(window: Window, context: Sequence[ContextFeatures] = ()) -> ExplanationRecord:
    """The explanation of a window. Its counterfactual lists the windows of the context with their numbers of words."""
    counts = [
        (features.track, features.end_ms, mean.tolist()) for features in context if (mean := features.mean(Modality.TEXT)) is not None
    ]
    return ExplanationRecord(
        **identity_fields(window),
        base_score=0.0,
        contributions={Modality.TEXT: float(len(window.words()))},
        score_without={},
        words=(),
        audio_spans=(),
        video_frames=(),
        counterfactual=tuple(f"{track}@{end_ms}:{words:g}" for track, end_ms, (words,) in counts),
        sentence="Because.",
    )


@dataclass
class FakeScorer:
    """Counts words.

    Attributes:
        delays: How long (s) scoring takes, by the end of a window.
        gates: What scoring waits for, by the end of a window.
        refused: Ends of windows that the model rejects.
        encoded_ahead: Open windows whose words were to be encoded.
    """

    delays: dict[int, float] = field(default_factory=dict)
    gates: dict[int, asyncio.Event] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    encoded_ahead: list[Window] = field(default_factory=list)

    async def default_version(self) -> str:
        return MODEL.version

    async def final(self, window: Window, context: WindowContext, version: str) -> tuple[ScoreRecord, ExplanationRecord]:
        await asyncio.sleep(self.delays.get(window.end_ms, 0))
        if (gate := self.gates.get(window.end_ms)) is not None:
            await gate.wait()
        if window.end_ms in self.refused:
            raise ValueError("refused")
        context.contribute(contribution_of(window))
        return score_of(window, version), explanation_of(window, await context.features())

    async def partial(self, window: Window, context: WindowContext, version: str) -> PartialRecord:
        record = score_of(window, version)
        return PartialRecord(**{name: getattr(record, name) for name in record.__struct_fields__})

    async def encode_words(self, window: Window, context: WindowContext) -> None:
        self.encoded_ahead.append(window)


@dataclass
class FakeStore:
    """Applies the rules of the Lua scripts to dictionaries."""

    scores: dict[TrackKey, list[ScoreRecord]] = field(default_factory=lambda: defaultdict(list))
    explanations: dict[TrackKey, list[ExplanationRecord]] = field(default_factory=lambda: defaultdict(list))
    contributions: dict[TrackKey, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    alerts: dict[SessionKey, list[AlertRecord]] = field(default_factory=lambda: defaultdict(list))
    rules: dict[TrackKey, str] = field(default_factory=dict)
    summaries: list[SessionRecord] = field(default_factory=list)
    partials: list[PartialRecord] = field(default_factory=list)
    tokens: dict[SessionKey, int] = field(default_factory=dict)
    assignments: dict[SessionKey, list[EpochAssignment]] = field(default_factory=lambda: defaultdict(list))
    consents: dict[SessionKey, dict[int, dict[tuple[str, int, bool], ConsentStatement]]] = field(default_factory=lambda: defaultdict(dict))
    pins: dict[tuple[SessionKey, int], str] = field(default_factory=dict)
    promoted: str | None = None
    token: int = 0

    async def finalise(
        self,
        score: ScoreRecord,
        explanation: ExplanationRecord,
        token: int,
        contribution: ContextFeatures | None = None,
        alerts: WindowAlerts | None = None,
    ) -> FinaliseOutcome:
        session = SessionKey(score.tenant, score.session)
        if token < self.tokens.get(session, 0):
            return FinaliseOutcome.FENCED
        self.tokens[session] = token
        finals = self.scores[TrackKey(session, score.track)]
        if finals and (score.epoch, score.end_ms) <= (finals[-1].epoch, finals[-1].end_ms):
            return FinaliseOutcome.REPLAYED
        finals.append(score)
        self.explanations[TrackKey(session, score.track)].append(explanation)
        if contribution is not None:
            self.contributions[TrackKey(session, score.track)].append(encode_context(contribution))
        if alerts is not None:
            self.alerts[session] += alerts.records
            self.rules[TrackKey(session, score.track)] = alerts.state.decode()
        return FinaliseOutcome.ACCEPTED

    async def put_partial(self, partial: PartialRecord) -> None:
        self.partials.append(partial)

    async def last_final(self, track: TrackKey) -> LastFinal | None:
        finals = self.scores.get(track)
        if not finals:
            return None
        after = [scores_after(*final) for final in zip(finals, self.explanations[track], strict=True)]
        scores = next((scores for scores in reversed(after) if scores is not None), None)
        return LastFinal(finals[-1].epoch, finals[-1].end_ms, finals[-1].sync, scores, self.rules.get(track))

    async def latest(self, track: TrackKey) -> ScoreRecord | None:
        finals = self.scores.get(track)
        return finals[-1] if finals else None

    async def context(self, session: SessionKey, epoch: int) -> list[ContextFeatures]:
        newest = [item for track, kept in self.contributions.items() if track.session == session for item in kept[-CONTEXT_KEPT:]]
        return [features for features in map(decode_context, newest) if features.epoch == epoch]

    async def finals(self, session: SessionKey) -> list[ScoreRecord]:
        return [final for track, finals in self.scores.items() if track.session == session for final in finals]

    async def epochs(self, session: SessionKey) -> SessionEpochs:
        final = max([final.epoch for final in await self.finals(session)], default=-1)
        consents = {epoch: tuple(kept.values()) for epoch, kept in self.consents[session].items()}
        return SessionEpochs(tuple(self.assignments[session]), final, consents)

    async def begin_epoch(
        self, session: SessionKey, declared: int, media_start_at_ms: int, within_ms: int, after: int
    ) -> tuple[EpochAssignment, ...]:
        assigned, final = self.assignments[session], (await self.epochs(session)).final
        latest_start_ms = media_start_at_ms + within_ms
        if not any(a.epoch > after and a.declared == declared and a.media_start_at_ms <= latest_start_ms for a in assigned):
            highest = max(after, declared - 1, final, *(a.epoch for a in assigned))
            assigned.append(EpochAssignment(highest + 1, declared, media_start_at_ms))
        return tuple(assigned)

    async def put_consents(self, session: SessionKey, epoch: int, statements: Sequence[ConsentStatement]) -> Sequence[ConsentStatement]:
        kept = self.consents[session].setdefault(epoch, {})
        for statement in statements:
            kept.setdefault(statement[:3], statement)
        return list(kept.values())

    async def promoted_version(self) -> str | None:
        return self.promoted

    async def pin_version(self, session: SessionKey, epoch: int, version: str) -> str:
        return self.pins.setdefault((session, epoch), version)

    async def put_summary(self, record: SessionRecord) -> None:
        self.summaries.append(record)

    async def next_token(self) -> int:
        self.token += 1
        return self.token


class FakeEncoder:
    """Reads words. Chunks of other modalities become text features without words."""

    def __init__(self, model_version: ModelVersionOf | None = None) -> None:
        self.model_version = model_version

    def encode_immediately(self, _chunk: Chunk) -> Features | None:
        return None

    async def encode(self, chunk: Chunk) -> Features:
        await asyncio.sleep(0)
        if chunk.header.modality is Modality.TEXT:
            return decode_words(chunk.payload, chunk.header.start_ms, chunk.header.duration_ms)
        return TextFeatures(())


@dataclass
class FakeWorker:
    """A `SessionRouter` on fakes. It makes the records to feed it, and keeps what was sent and acknowledged. Tests move its clock."""

    scorer: FakeScorer = field(default_factory=FakeScorer)
    store: FakeStore = field(default_factory=FakeStore)
    settings: Settings = field(default_factory=Settings)
    new_encoder: Callable[[ModelVersionOf], FakeEncoder] = FakeEncoder
    now: int = 0
    rules: RuleSet | None = None
    partitions: dict[str, int] = field(default_factory=dict)
    """Numbers of partitions, by topic; 1 for a topic that is not named."""

    def __post_init__(self) -> None:
        self.sent: dict[str, list[tuple[bytes, bytes, Headers]]] = defaultdict(list)
        self.acknowledged: list[tuple[str, int]] = []
        self.failures: list[BaseException] = []
        self.rejoined = 0
        self.topics = Topics()
        self._offsets: dict[str, int] = defaultdict(int)
        self.context = ProcessingContext(
            settings=self.settings,
            store=self.store,
            scorer=self.scorer,
            send=self._send,
            new_encoder=self.new_encoder,
            now=lambda: self.now,
            on_failure=self.failures.append,
            rejoin=self._rejoin,
            partition_counts=self._partition_counts,
            rules=self.rules,
        )
        self.router = SessionRouter(self.context)

    def _rejoin(self) -> None:
        self.rejoined += 1

    async def _partition_counts(self) -> dict[str, int]:
        return {topic: self.partitions.get(topic, 1) for topic in self.topics.inputs}

    async def _send(self, *records: Addressed) -> None:
        for topic, key, value, headers in records:
            self.sent[topic].append((key, value, headers))

    def reasons(self) -> list[str]:
        """Reasons of the dead letters."""
        return [dict(headers)["dl_reason"].decode() for _, _, headers in self.sent[self.topics.dead_letters]]

    def record(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, partition: int = 0) -> InboundRecord:
        """A record at the topic's next offset."""
        offset = self._offsets[topic]
        self._offsets[topic] += 1
        return InboundRecord(topic, partition, offset, key, value, headers, lambda: self.acknowledged.append((topic, offset)))

    def words(
        self, seq: int, *, epoch: int = 0, session: str = "call-1", track: str = "customer", later_ms: int = 0, spoken: bool = True
    ) -> InboundRecord:
        """A text chunk of second ``seq`` with one word or none. ``later_ms`` moves the start of media on the wall clock."""
        of_chunk = header(seq, epoch=epoch, session=session, track=track)
        of_chunk = replace(of_chunk, captured_ms=of_chunk.captured_ms + later_ms)
        words = [Word("secretword", of_chunk.start_ms, of_chunk.end_ms)] if spoken else []
        key = str(of_chunk.session).encode()
        return self.record(self.topics.chunks(Modality.TEXT), key, encode_words(words), chunk_headers(of_chunk))

    def media(self, seq: int, modality: Modality, later_ms: int, *, epoch: int = 0, session: str = "call-1") -> InboundRecord:
        """A chunk of sound or picture of second ``seq``. ``later_ms`` moves the start of media on the wall clock."""
        of_chunk = header(seq, modality, epoch=epoch, session=session)
        of_chunk = replace(of_chunk, captured_ms=of_chunk.captured_ms + later_ms)
        return self.record(self.topics.chunks(modality), str(of_chunk.session).encode(), b"media", chunk_headers(of_chunk))

    def event(self, event: SessionEvent, session: str = "call-1", *, at_ms: int = MEDIA_START_AT_MS) -> InboundRecord:
        """A session event at a wall clock."""
        key, value, headers = session_record(KeyedSessionEvent(SessionKey("acme", session), event), "test", at_ms)
        return self.record(self.topics.sessions, key, value, headers)

    async def feed(self, *records: InboundRecord) -> None:
        """Pass records to the router, then let all tasks run."""
        for record in records:
            await self.router.on_record(record)
        await self.settle()

    async def advance(self, ms: int) -> None:
        """Let time pass while the worker is caught up, then let all tasks run."""
        for _ in range(0, ms, 100):
            self.now += 100
            self.router.on_time(self.now)
            for _ in range(3):  # Chunks that waited for a start are decoded between two looks at the clock.
                await asyncio.sleep(0)
        await self.settle()

    async def settle(self, seconds: float = 0.02) -> None:
        """Let tasks run: turns of the event loop for tasks that wait for nothing, however slow the machine is, then some time."""
        for _ in range(100):
            await asyncio.sleep(0)
        await asyncio.sleep(seconds)
