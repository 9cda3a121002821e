"""What all sessions of a worker share: settings, services, clocks and bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from stream.align.caught_up_clock import CaughtUpClock
from stream.align.track import WindowPolicy
from stream.align.utterance import UtteranceWindower
from stream.align.windower import HoppingWindower, Windower
from stream.config.media_settings import WindowSettings
from stream.config.settings import Settings
from stream.domain.delivery import InboundRecord
from stream.domain.epoch import EpochAssignment
from stream.domain.odd_records import odd_record
from stream.domain.topics import Topics
from stream.pipeline.fence import Fence
from stream.pipeline.metrics import Metrics
from stream.pipeline.model_pin import EpochModel, ModelPins
from stream.pipeline.overload import Overload
from stream.pipeline.placement import Placement
from stream.pipeline.ports import ModelVersionOf, ResultStore, Scorer, Send, TrackEncoder
from stream.pipeline.publisher import TrackPublisher
from stream.pipeline.scoring import TrackScoring
from stream.pipeline.timings import Timings
from stream.pipeline.tracing import Tracing
from stream.pipeline.track_alerts import TrackAlerts
from stream.pipeline.track_state import TrackState
from stream.pipeline.window_context import ContextStore
from stream.rules.evaluate import RuleSet
from stream.sinks.dead_letter import dead_letter_message

log = structlog.get_logger(__name__)


@dataclass
class ProcessingContext:
    """The settings, the services around the pipeline, and the bounds that all sessions share.

    Attributes:
        settings: The settings tree.
        store: Redis.
        scorer: Model and explanation.
        send: Kafka.
        new_encoder: Makes the encoder of a track, for the version of the model that scores its epoch.
        now: Monotonic clock, ms.
        on_failure: Called with an unexpected error; the worker must stop.
        rejoin: Leaves the consumer group and joins it again: every partition is assigned anew.
        rules: The alert rules; None if there are none.
        partition_counts: Asks the broker for the number of partitions of each input topic; 0 for a topic that is missing.
        timings: Receives the duration of each step.
        metrics: Counters and gauges.
        tracing: Begins spans.
        model_pins: Gives each epoch its version of the model.
        fence: The fencing token in force.
        placement: Checks that records are in their partitions.
        clock: The clock that aligners measure silence with.
        topics: Names of the Kafka topics.
        policy: When windows open and close.
        same_clock_ms: By how much two records of one media clock may disagree about when its media began.
        overload: Decides what is not decoded, because the worker has fallen behind.
        chunk_slots: Bounds the chunks that are being decoded or encoded.
        window_slots: Bounds the windows that are being scored or published.
    """

    settings: Settings
    store: ResultStore
    scorer: Scorer
    send: Send
    new_encoder: Callable[[ModelVersionOf], TrackEncoder]
    now: Callable[[], int]
    on_failure: Callable[[BaseException], None]
    rejoin: Callable[[], None]
    partition_counts: Callable[[], Awaitable[Mapping[str, int]]]
    rules: RuleSet | None = None
    timings: Timings = field(default_factory=Timings)
    metrics: Metrics = field(default_factory=Metrics)
    tracing: Tracing = field(default_factory=Tracing)
    model_pins: ModelPins = field(init=False)
    fence: Fence = field(init=False)
    placement: Placement = field(init=False)
    clock: CaughtUpClock = field(init=False)
    topics: Topics = field(init=False)
    policy: WindowPolicy = field(init=False)
    same_clock_ms: int = field(init=False)
    overload: Overload = field(init=False)
    chunk_slots: asyncio.Semaphore = field(init=False)
    window_slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        windows, limits = self.settings.windows, self.settings.limits
        self.model_pins = ModelPins(self.store, self.scorer, self.metrics)
        self.fence = Fence(self.store.next_token)
        self.placement = Placement(self.partition_counts)
        self.clock = CaughtUpClock(self.now)
        self.topics = Topics(self.settings.kafka.topic_prefix)
        self.policy = WindowPolicy(
            windower=_windower(windows),
            allowed_lateness_ms=windows.allowed_lateness_ms,
            idle_after_ms=windows.idle_after_ms,
            partial_every_ms=windows.partial_every_ms,
            max_skew_ms=windows.max_skew_ms,
        )
        self.same_clock_ms = windows.max_back_ms // 2
        self.overload = Overload(self.settings.overload, self.now)
        self.chunk_slots = asyncio.Semaphore(limits.chunks_in_flight)
        self.window_slots = asyncio.Semaphore(limits.windows_in_flight)

    def new_track_scoring(
        self,
        on_fenced: Callable[[], None],
        may_publish: asyncio.Event,
        assignment: EpochAssignment | None,
        context_store: ContextStore,
        model: EpochModel,
        *,
        state: TrackState,
    ) -> TrackScoring:
        """The scoring of a track, with its publisher, after its final windows so far (``state``).

        It waits until it may publish, and writes the ``assignment`` into its scores.
        """
        publisher = TrackPublisher(
            self.store,
            self.send,
            topics=self.topics,
            token=self.fence.token,
            on_fenced=on_fenced,
            before=state.scores,
            alerts=TrackAlerts(self.rules, state.rules, self.metrics),
            timings=self.timings,
            metrics=self.metrics,
        )
        return TrackScoring(
            self.scorer,
            self.store,
            publisher,
            slots=self.window_slots,
            may_publish=may_publish,
            assignment=assignment,
            context_store=context_store,
            model=model,
            timings=self.timings,
        )

    async def dead_letter(self, record: InboundRecord, reason: str, detail: str) -> None:
        """Put a record into the dead letters with its reason, then acknowledge it. The log names its offset, never its content."""
        odd = odd_record(reason, detail, record.key, record.value, record.headers, is_event=record.topic == self.topics.sessions)
        detail = detail if odd is None else f"{odd.text}: {odd.fix}"
        self.metrics.dead_letters.labels(reason).inc()
        log.warning("dead_letter", reason=reason, topic=record.topic, partition=record.partition, offset=record.offset)
        await self.send((self.topics.dead_letters, *dead_letter_message(record, reason, detail)))
        record.acknowledge()


def _windower(windows: WindowSettings) -> Windower:
    if windows.kind == "utterance":
        return UtteranceWindower(windows.utterance_max_ms, windows.utterance_pause_ms)
    return HoppingWindower(windows.length_ms, windows.hop_ms)
