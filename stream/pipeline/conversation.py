"""One session on a worker: a lane for each modality of each track, the aligner in the middle, a publisher for each track."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from hashlib import blake2b

import structlog

from stream.align.outcome import EncodedChunk, Outcome
from stream.align.session import SessionAligner
from stream.domain.chunk import Chunk
from stream.domain.delivery import InboundRecord, LastFinal
from stream.domain.epoch import Run
from stream.domain.features import Features
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.lifecycle import MAX_TRACKS, SessionEnd, SessionHeartbeat, SessionNotice, SessionStart
from stream.domain.modality import Modality
from stream.domain.sync import Sync
from stream.domain.wire import BadRecordError
from stream.media.errors import MediaError
from stream.pipeline.memory import Memory
from stream.pipeline.ports import TrackEncoder
from stream.pipeline.publisher import Receipt, TrackPublisher
from stream.pipeline.timings import Step
from stream.pipeline.world import World
from stream.sinks.dead_letter import late_message
from stream.sinks.results import result_message
from stream.sinks.summary import summarise

log = structlog.get_logger(__name__)

LaneKey = tuple[TrackKey, Modality]
HeldEvent = tuple[SessionNotice, InboundRecord]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A chunk and the record it came in."""

    chunk: Chunk
    record: InboundRecord
    at: float = field(default_factory=time.perf_counter)


@dataclass(slots=True)
class Lane:
    """Chunks of one modality of one track on their way through the encoder.

    Attributes:
        queue: Those that wait.
        encoding: How many wait or are being encoded.
    """

    queue: asyncio.Queue[Arrival] = field(default_factory=asyncio.Queue)
    encoding: int = 0


class Conversation:
    """Runs one epoch of one session until its summary is written.

    Chunks of one lane are encoded one after the other, so that progress never overtakes a chunk; lanes and sessions run side by side.
    A chunk that needs no model is taken in at once, unless others of its lane are before it.

    Args:
        session: Which conversation.
        epoch: Which of its media clocks.
        partition: Kafka partition it lives on.
        world: What it needs of the worker.
        on_done: Called when the conversation is over, because it ended or was fenced off.
        run: Which of the session's media clocks it is, where workers numbered it.
    """

    def __init__(
        self,
        session: SessionKey,
        epoch: int,
        partition: int,
        world: World,
        on_done: Callable[[Conversation], None],
        *,
        run: Run | None = None,
    ) -> None:
        self.session = session
        self.epoch = epoch
        self.partition = partition
        self.turn = asyncio.Event()
        """Set when nothing of the session is to be published before this epoch any more."""
        self._world = world
        self._on_done = on_done
        self._run = run
        windows = world.settings.windows
        self._aligner: SessionAligner[Receipt] = SessionAligner(
            session,
            epoch,
            world.policy,
            end_grace_ms=windows.end_grace_ms,
            expire_after_ms=windows.expire_after_ms,
            max_ahead_ms=windows.max_ahead_ms,
            max_back_ms=windows.max_back_ms,
            max_held=world.settings.limits.chunks_held_per_session,
            now=world.clock(),
        )
        self._memory = Memory()
        self._due_ms = 0.0
        self._lanes: dict[LaneKey, Lane] = {}
        self._encoders: dict[TrackKey, TrackEncoder] = {}
        self._publishers: dict[TrackKey, TrackPublisher] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reports: set[asyncio.Task[None]] = set()
        self._held_events: list[HeldEvent] = []
        self._early_events: list[SessionNotice] = []
        self._first_event_zero_ms: int | None = None
        self._encoding = 0
        self._closing = False
        self._finishing = False
        self._stopped = False
        self._frozen = False
        self.complete = False
        """True once its summary is written."""
        self.fenced = False
        """True once another worker turned out to own the session."""

    @property
    def held(self) -> int:
        """Encoded chunks that wait for a window to close."""
        return self._aligner.held

    @property
    def unpublished(self) -> int:
        """Windows that are closed but not yet published."""
        return sum([publisher.pending for publisher in self._publishers.values()])

    @property
    def publishing(self) -> bool:
        """Whether closed windows, or the summary of an ended session, are still to be published, and may be."""
        may_publish = not self._stopped and self.turn.is_set()
        return may_publish and (self._closing or any(publisher.busy for publisher in self._publishers.values()))

    async def on_chunk(self, chunk: Chunk, record: InboundRecord) -> bool:
        """Queue a chunk for its lane; the caller bounds how many are in flight.

        False for one that belongs elsewhere: its media clock began anew, or this conversation was completed meanwhile.
        """
        track = chunk.header.track
        if not self._aligner.knows(track):
            if self._aligner.tracks >= MAX_TRACKS:
                raise BadRecordError("too_many_tracks", "the session has as many tracks as it may have")
            await self._open(track, chunk.header.role)
        if self.complete:
            return False
        if self._stopped:
            self._world.chunk_slots.release()
            return True
        if not self._aligner.admits(chunk.header):
            return False
        self._world.timings.add(Step.BROKER, time.time() * 1000 - chunk.header.captured_ms)
        arrival, encoder = Arrival(chunk, record), self._encoders[track]
        lane = self._lanes.get((track, chunk.header.modality))
        if (lane is None or lane.encoding == 0) and (features := _at_once(encoder, chunk)) is not None:
            self._world.chunk_slots.release()
            self._take(self._encoded(arrival, features), arrival)
            return True
        if lane is None:
            lane = self._lanes[track, chunk.header.modality] = Lane()
            self._spawn(self._run_lane(lane, encoder))
        self._encoding += 1
        lane.encoding += 1
        lane.queue.put_nowait(arrival)
        return True

    def on_event(self, notice: SessionNotice, record: InboundRecord) -> None:
        """Start, heartbeat or end; starts and ends stay unacknowledged until the summary is written, so that a replay sees them.

        One of a later media clock may be read before the chunks that show that the clock began anew: it waits until all have been read.
        """
        self._due_ms = 0
        if isinstance(notice.event, SessionHeartbeat):
            record.acknowledge()
            self._aligner.on_heartbeat(self._world.clock())
            return
        self._held_events.append((notice, record))
        if self._is_early(notice):
            self._early_events.append(notice)
        else:
            self._heed(notice)

    def _is_early(self, notice: SessionNotice) -> bool:
        if self._first_event_zero_ms is None:
            self._first_event_zero_ms = notice.zero_ms
        seen = self._aligner.newest_zero_ms
        since = self._first_event_zero_ms if seen is None else seen
        return notice.zero_ms is not None and since is not None and notice.zero_ms - since > self._world.same_clock_ms

    def _heed(self, notice: SessionNotice) -> None:
        match notice.event:
            case SessionStart():
                self._aligner.on_start(notice.event, self._world.clock())
            case SessionEnd():
                self._handle(self._aligner.on_end(notice.event, self._world.clock()))

    def give_up_events(self, belongs: Callable[[SessionNotice], bool]) -> list[HeldEvent]:
        """Starts and ends that turned out to belong to an epoch that began later."""
        given = [held for held in self._held_events if belongs(held[0])]
        self._held_events = [held for held in self._held_events if not belongs(held[0])]
        self._early_events = [notice for notice in self._early_events if not belongs(notice)]
        return given

    def on_time(self, now: int) -> None:
        """Let time pass on the listening clock; a chunk that is being encoded is not silence."""
        if now >= self._due_ms and not self._closing and self._encoding == 0:
            early, self._early_events = self._early_events, []
            for notice in early:
                self._heed(notice)
            self._handle(self._aligner.on_time(now))
            self._due_ms = self._aligner.due_ms(now)

    def retire(self) -> None:
        """A new epoch has begun: end after the time in which the last chunks of this one may still come."""
        self._due_ms = 0
        self._aligner.retire(self._world.clock())

    def finish(self) -> None:
        """Close every window as soon as what is in flight has been encoded."""
        self._finishing = True
        self._finish_if_idle()

    def _finish_if_idle(self) -> None:
        if self._finishing and not self._closing and self._encoding == 0:
            self._handle(self._aligner.finish())

    def shed(self) -> None:
        """Free memory by closing the oldest window."""
        self._handle(self._aligner.shed())

    def freeze(self) -> None:
        """Close no more windows: what would have come before them is no longer taken in."""
        self._frozen = True

    def stop(self) -> None:
        """Drop everything; what is unacknowledged will be read again, here or elsewhere."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        for publisher in self._publishers.values():
            publisher.stop()
        for lane in self._lanes.values():
            while not lane.queue.empty():
                lane.queue.get_nowait()
                self._world.chunk_slots.release()

    async def _open(self, track: TrackKey, role: str) -> None:
        final = await self._world.store.last_final(track)
        shown = None if final is None else await self._world.store.latest(track)
        past = await self._world.store.past(self.session, self.epoch)
        if self._stopped or self._aligner.knows(track):
            return
        self._memory.remember(past)
        self._aligner.remember([features.window for features in past], self._world.clock())
        until, sync = self._continuation(final)
        self._encoders[track] = self._world.new_encoder()
        self._publishers[track] = publisher = self._world.new_publisher(self._fenced, self.turn, self._run, self._memory)
        publisher.runner.add_done_callback(self._check)
        same_clock = shown is not None and shown.epoch == self.epoch and shown.end_ms == until
        final_at_ms = shown.media_end_at_ms if shown is not None and same_clock else None
        self._aligner.open_track(track, role, until, self._world.clock(), sync, final_at_ms=final_at_ms)

    def _continuation(self, final: LastFinal | None) -> tuple[int | None, Sync | None]:
        """Media time until which windows are final, and the clock skews as of then; each epoch has clocks of its own."""
        if final is None or final.epoch < self.epoch:
            return None, None
        return (final.end_ms, final.sync) if final.epoch == self.epoch else (2**53, None)

    async def _run_lane(self, lane: Lane, encoder: TrackEncoder) -> None:
        while True:
            arrival = await lane.queue.get()
            began = time.perf_counter()
            try:
                features = await self._encode(arrival, encoder)
            finally:
                self._world.chunk_slots.release()
            self._world.timings.add(Step.QUEUE, (began - arrival.at) * 1000)
            self._world.timings.add(Step.ENCODE, (time.perf_counter() - began) * 1000)
            self._encoding -= 1
            lane.encoding -= 1
            self._take(self._encoded(arrival, features), arrival)
            lane.queue.task_done()

    def _take(self, encoded: EncodedChunk[Receipt], arrival: Arrival) -> None:
        if self._frozen:
            return
        self._due_ms = 0
        self._handle(self._aligner.on_chunk(encoded, self._world.clock()), arrival)
        self._finish_if_idle()

    def _encoded(self, arrival: Arrival, features: Features | None) -> EncodedChunk[Receipt]:
        digest = blake2b(arrival.chunk.payload, digest_size=8).digest()
        return EncodedChunk(arrival.chunk.header, features, None if features is None else arrival.record.acknowledge, digest)

    async def _encode(self, arrival: Arrival, encoder: TrackEncoder) -> Features | None:
        """None for a chunk that cannot be used, which is then among the dead letters."""
        try:
            return await encoder.encode(arrival.chunk)
        except (BadRecordError, MediaError) as error:
            await self._world.dead_letter(arrival.record, error.reason, str(error))
        except Exception as error:
            log.exception("encode_failed", modality=str(arrival.chunk.header.modality))
            await self._world.dead_letter(arrival.record, "internal_error", type(error).__name__)
        return None

    def _handle(self, outcome: Outcome[Receipt], arrival: Arrival | None = None) -> None:
        for closed in outcome.closed:
            self._publishers[closed.window.track].publish(closed)
        for unused in outcome.unused:
            self._publishers[unused.track].release(unused.receipts)
        for window in outcome.partial:
            self._publishers[window.track].look(window)
        for repeated in outcome.repeated:
            if repeated.receipt is not None:
                repeated.receipt()
        for late in outcome.late:
            if late.chunk.receipt is not None and arrival is not None:
                self._report(self._report_late(arrival, late.late_by_ms))
        if arrival is not None:
            self._refuse(outcome.conflicts, arrival, "conflict", "another chunk with its number came before")
            self._refuse(outcome.future, arrival, "future", "its media time runs ahead of its capture time: see windows.max_ahead_ms")
        if self._aligner.ended and not self._closing:
            self._closing = True
            self._spawn(self._close())

    def _refuse(self, chunks: tuple[EncodedChunk[Receipt], ...], arrival: Arrival, reason: str, detail: str) -> None:
        for chunk in chunks:
            if chunk.receipt is not None:
                self._report(self._world.dead_letter(arrival.record, reason, detail))

    async def _report_late(self, arrival: Arrival, late_by_ms: int) -> None:
        await self._world.send((self._world.topics.late, *late_message(arrival.record, late_by_ms)))
        arrival.record.acknowledge()

    async def _close(self) -> None:
        """Wait for the last window, then write the summary and let go of the session's records.

        Chunks that are still on their way, repeated or late, are waited for: an unacknowledged one would hold back its partition.
        """
        await self.turn.wait()
        for publisher in self._publishers.values():
            await publisher.drained()
        if self._aligner.accepted or self._held_events:
            finals = [final for final in await self._world.store.finals(self.session) if final.epoch == self.epoch]
            summary = summarise(self.session, self.epoch, finals)
            if summary.windows_shed:
                log.warning("shed", partition=self.partition, windows=summary.windows_shed, of=summary.windows)
            await self._world.send((self._world.topics.summaries, *result_message(summary)))
            await self._world.store.put_summary(summary)
        await self._settled()
        for _, record in self._held_events:
            record.acknowledge()
        self._held_events.clear()
        self.complete = True
        self._on_done(self)

    async def _settled(self) -> None:
        while self._encoding or self._reports:
            await asyncio.gather(*(lane.queue.join() for lane in self._lanes.values()), *self._reports)

    def _fenced(self) -> None:
        log.warning("fenced_off", partition=self.partition)
        self.fenced = True
        self._on_done(self)

    def _report(self, work: Coroutine[None, None, None]) -> None:
        task = self._spawn(work)
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._check)
        return task

    def _check(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("conversation_failed", partition=self.partition, error=type(error).__name__)
            self._world.on_failure(error)


def _at_once(encoder: TrackEncoder, chunk: Chunk) -> Features | None:
    """None also for a chunk that cannot be used: its lane says why."""
    try:
        return encoder.encode_at_once(chunk)
    except BadRecordError:
        return None
