"""One epoch of one session on a worker: from its records to its summary."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from stream.aio.tasks import TaskSet
from stream.domain.chunk import Chunk
from stream.domain.consent import ConsentStatement
from stream.domain.delivery import InboundRecord
from stream.domain.epoch import EpochAssignment
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.kafka_records import BadRecordError
from stream.domain.modality import Modality
from stream.domain.session_events import MAX_TRACKS, KeyedSessionEvent, SessionConsent, SessionHeartbeat, SessionStart
from stream.explain.session_summary import summarise
from stream.pipeline.admission import Admission
from stream.pipeline.encode_queue import Arrival, EncodeQueue
from stream.pipeline.model_pin import EpochModel
from stream.pipeline.ports import TrackEncoder
from stream.pipeline.processing_context import ProcessingContext
from stream.pipeline.session_events import HeldEvent, SessionEventBuffer
from stream.pipeline.timings import Step
from stream.pipeline.track_state import read_track_state
from stream.pipeline.windows import EpochWindows
from stream.policy.decisions import EpochPolicy
from stream.policy.tenant import tenant_policy
from stream.sinks.results import result_message

log = structlog.get_logger(__name__)


class EpochProcessor:
    """Processes one epoch of one session until its summary is written.

    Args:
        session: The session.
        epoch: The epoch of its media clock.
        partition: The Kafka partition of its records.
        context: The worker's shared parts.
        on_done: Called when the epoch ends, because it is complete or another worker fenced it off.
        on_consent: Called when something new was said about consent.
        consents: What was said about the consent of the session's people, by epoch; the epoch adds to it.
        assignment: The epoch's assignment, where workers gave it its number.
    """

    def __init__(
        self,
        session: SessionKey,
        epoch: int,
        partition: int,
        context: ProcessingContext,
        on_done: Callable[[EpochProcessor], None],
        *,
        on_consent: Callable[[EpochProcessor], None],
        consents: dict[int, tuple[ConsentStatement, ...]],
        assignment: EpochAssignment | None = None,
    ) -> None:
        self.session = session
        self.epoch = epoch
        self.partition = partition
        self.may_publish = asyncio.Event()
        """Set once no earlier epoch of the session can publish any more."""
        self.complete = False
        """True once the summary is written."""
        self.fenced = False
        """True once another worker turned out to own the session."""
        self._context = context
        self._on_done = on_done
        self._assignment = assignment
        self._tasks = TaskSet(self._on_task_failed)
        self._reports = TaskSet(self._on_task_failed)
        self._model = EpochModel(context.model_pins, session, epoch, self._tasks)
        self._consents = consents
        self._on_consent = on_consent
        self._policy = EpochPolicy(tenant_policy(context.settings.policy, session.tenant), self._said_before())
        self._policy.add(consents.get(epoch, ()))
        self.windows = EpochWindows(
            session,
            epoch,
            context,
            policy=self._policy,
            model=self._model,
            reports=self._reports,
            is_encoding=lambda: self._is_encoding,
            on_ended=self._on_ended,
        )
        """The epoch's aligner, and the scoring and publishing of its windows."""
        self._admission = Admission(self._policy, self.windows.aligner.role_of)
        self._events = SessionEventBuffer(context.same_clock_ms)
        self._encoders: dict[TrackKey, TrackEncoder] = {}
        self._queues: dict[tuple[TrackKey, Modality], EncodeQueue] = {}
        self._early: asyncio.Task[None] | None = None
        """Applies early events, while there are some."""
        self._closing = False
        self._stopped = False

    @property
    def publishing(self) -> bool:
        """Whether closed windows, or the summary of an ended epoch, are still to be published, and may be."""
        return not self._stopped and self.may_publish.is_set() and (self._closing or self.windows.publishing)

    @property
    def _is_encoding(self) -> bool:
        return any(queue.pending for queue in self._queues.values())

    async def on_chunk(self, chunk: Chunk, record: InboundRecord) -> bool:
        """Queue a chunk for its encoder; the caller has taken a chunk slot for it.

        Returns:
            False, without giving the slot back, for a chunk that belongs elsewhere: its media clock has started again, or this epoch was
            completed in the meantime.
        """
        header = chunk.header
        track, aligner = header.track, self.windows.aligner
        if track.track not in aligner.tracks:
            if len(aligner.tracks) >= MAX_TRACKS:
                raise BadRecordError("too_many_tracks", "the session has as many tracks as it may have")
            await self._open_track(track, header.role)
        if self.complete:
            return False
        if self._stopped:
            self._context.chunk_slots.release()
            return True
        if not aligner.admits(header):
            return False
        self._context.timings.add(Step.BROKER, time.time() * 1000 - header.captured_ms)
        queue = self._queues.get((track, header.modality))
        if queue is None:
            queue = EncodeQueue(
                self._encoders[track],
                self._admission,
                self._context,
                self._tasks,
                on_begun=self.windows.on_begun,
                on_encoded=self.windows.on_encoded,
                on_withheld=self.windows.on_withheld,
            )
            self._queues[track, header.modality] = queue
        if self._context.chunk_slots.locked():
            self._admission.settle()
        queue.put(Arrival(chunk, record, trace=self._context.tracing.chunk(record)))
        return True

    async def _open_track(self, track: TrackKey, role: str) -> None:
        """Begin a track after its last final window, according to Redis."""
        state = await read_track_state(self._context.store, track, self.epoch)
        if self._stopped or track.track in self.windows.aligner.tracks:
            return
        self._encoders[track] = self._context.new_encoder(self._model.version)
        scoring = self.windows.open_track(
            track, role, state, on_fenced=self._on_fenced, may_publish=self.may_publish, assignment=self._assignment
        )
        self._tasks.watch(scoring.publisher.runner)

    @property
    def events_held(self) -> int:
        """Events that are held until the summary is written."""
        return len(self._events)

    async def on_event(self, event: KeyedSessionEvent, record: InboundRecord) -> None:
        """Process an event. All but heartbeats stay unacknowledged until the summary is written: a replay needs them."""
        if isinstance(event.event, SessionHeartbeat):
            record.acknowledge()
            self.windows.on_event(event)
        elif self._events.add(event, record, self.windows.aligner.media_clock.newest_media_start_at_ms):
            await self._apply(event)

    async def _apply_early(self, events: list[KeyedSessionEvent]) -> None:
        """Apply events in their order. An end that overtook what is said about consent would close windows that may not be used."""
        for event in events:
            await self._apply(event)
        self._early = None

    async def _apply(self, event: KeyedSessionEvent) -> None:
        """Apply an event. What it says about consent is in Redis first: a worker that takes over may read chunks before events."""
        if isinstance(event.event, SessionStart | SessionConsent):
            statements = self._policy.statements_of(event.event)
            if statements:
                stored = tuple(await self._context.store.put_consents(self.session, self.epoch, statements))
                if self._stopped:
                    return
                self._consents[self.epoch] = stored
                self._policy.add(stored)
                self._on_consent(self)
            if isinstance(event.event, SessionStart):
                self._policy.on_start(event.event)
        self.windows.on_event(event)
        if isinstance(event.event, SessionStart):
            self._admission.settle()

    def inherit_withdrawals(self) -> None:
        """Something was said about consent in an earlier epoch after this one had begun."""
        self._policy.inherit_withdrawals(self._said_before())
        self.windows.on_inherited()

    def _said_before(self) -> list[tuple[ConsentStatement, ...]]:
        return [self._consents[earlier] for earlier in sorted(self._consents) if earlier < self.epoch]

    def transfer_events(self, belongs: Callable[[KeyedSessionEvent], bool]) -> list[HeldEvent]:
        """Hand over the events that turn out to belong to a later epoch."""
        return self._events.transfer(belongs)

    def on_time(self, now: int) -> None:
        """Let time pass on the caught-up clock, but not while a chunk is being encoded, which would look like silence.

        Nor does it pass while early events are applied: they may be about what chunks wait for, and about windows that time would close.
        """
        if self._early is None and not self._closing and (events := self._events.take_early()):
            self._early = self._tasks.spawn(self._apply_early(events))
        if self._early is not None:
            return
        self._admission.settle()
        if not self._closing and not self._is_encoding:
            self.windows.on_time(now)

    def stop(self) -> None:
        """Drop everything; unacknowledged records will be read again, by this worker or another."""
        self._stopped = True
        self._model.release()
        self._tasks.cancel()
        self._reports.cancel()
        self.windows.stop()
        for queue in self._queues.values():
            queue.drop()

    def _on_ended(self) -> None:
        self._closing = True
        self._tasks.spawn(self._close())

    async def _close(self) -> None:
        """Complete the epoch, in this order.

        1. Wait until the epoch may publish and its last window is published: the summary counts final windows.
        2. Publish the summary to Kafka, then to Redis.
        3. Wait for chunks that are still on their way, repeated or late: an unacknowledged chunk would hold back its partition.
        4. Acknowledge the session's starts and ends. Before the summary was written a replay needed them.
        5. Report that the epoch is done.
        """
        # 1.
        await self.may_publish.wait()
        for track in list(self.windows.tracks.values()):  # A late chunk of a new track may add one meanwhile.
            await track.publisher.drained()
        # 2.
        if self.windows.aligner.accepted or self._events:
            await self._publish_summary()
        # 3.
        while self._is_encoding or self._reports:
            await asyncio.gather(*(queue.join() for queue in self._queues.values()), self._reports.join())
        # 4.
        self._events.acknowledge()
        # 5.
        self.complete = True
        self._on_done(self)

    async def _publish_summary(self) -> None:
        finals = [final for final in await self._context.store.finals(self.session) if final.epoch == self.epoch]
        summary = summarise(self.session, self.epoch, finals)
        if summary.windows_shed:
            log.warning("shed", partition=self.partition, windows=summary.windows_shed, of=summary.windows)
        await self._context.send((self._context.topics.summaries, *result_message(summary)))
        await self._context.store.put_summary(summary)

    def _on_fenced(self) -> None:
        log.warning("fenced_off", partition=self.partition)
        self.fenced = True
        self._on_done(self)

    def _on_task_failed(self, error: BaseException) -> None:
        log.error("epoch_failed", partition=self.partition, error=type(error).__name__)
        self._context.on_failure(error)
