"""Runs the aligner of one epoch: passes it encoded chunks, events and time, and passes its closed windows on to be scored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING

from msgspec.structs import replace

from stream.aio.tasks import TaskSet
from stream.align.outcome import EncodedChunk, LateWords, Outcome
from stream.align.session import SessionAligner
from stream.domain.epoch import EpochAssignment
from stream.domain.features import Features
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.session_events import KeyedSessionEvent, SessionConsent, SessionEnd, SessionHeartbeat, SessionStart
from stream.pipeline.encode_queue import Arrival
from stream.pipeline.model_pin import EpochModel
from stream.pipeline.ports import Ack
from stream.pipeline.processing_context import ProcessingContext
from stream.pipeline.scoring import TrackScoring
from stream.pipeline.track_state import TrackState
from stream.pipeline.window_context import ContextStore
from stream.policy.decisions import EpochPolicy, Handling
from stream.sinks.dead_letter import late_message, late_words_message

if TYPE_CHECKING:
    from opentelemetry.context import Context


class SharedAck:
    """Acknowledges a record when all its holders are done with it: its last window, and the report of its late words."""

    __slots__ = ("_acknowledge", "_holders")

    def __init__(self, acknowledge: Ack) -> None:
        self._acknowledge = acknowledge
        self._holders = 1

    def hold(self) -> None:
        """Wait for one more call."""
        self._holders += 1

    def __call__(self) -> None:
        """One holder is done."""
        self._holders -= 1
        if self._holders == 0:
            self._acknowledge()


def _encoded(arrival: Arrival, features: Features | None, ack: Ack | None, *, left_out: bool = False) -> EncodedChunk[Ack]:
    digest = blake2b(arrival.chunk.payload, digest_size=8).digest()
    return EncodedChunk(arrival.chunk.header, features, ack, digest, left_out)


class EpochWindows:
    """Runs the aligner of an epoch and forwards its output.

    Args:
        session: The session.
        epoch: The epoch of its media clock.
        context: The worker's shared parts.
        policy: What may be used of the session.
        model: The version of the model that scores the epoch.
        reports: Runs the tasks that report late, conflicting and future chunks.
        is_encoding: Whether a chunk of the epoch is being encoded.
        on_ended: Called once, when the aligner has closed the last window.
    """

    def __init__(
        self,
        session: SessionKey,
        epoch: int,
        context: ProcessingContext,
        *,
        policy: EpochPolicy,
        model: EpochModel,
        reports: TaskSet,
        is_encoding: Callable[[], bool],
        on_ended: Callable[[], None],
    ) -> None:
        windows = context.settings.windows
        self.aligner: SessionAligner[Ack] = SessionAligner(
            session,
            epoch,
            context.policy,
            end_grace_ms=windows.end_grace_ms,
            expire_after_ms=windows.expire_after_ms,
            max_ahead_ms=windows.max_ahead_ms,
            max_back_ms=windows.max_back_ms,
            max_held=context.settings.limits.chunks_held_per_session,
            now=context.clock(),
        )
        """Decides when windows open and close."""
        self.tracks: dict[TrackKey, TrackScoring] = {}
        """Scores and publishes the windows of each open track."""
        self.frozen = False
        """True once no more chunks are accepted: the worker drains, and leaves the open windows to its successor."""
        self._context = context
        self._policy = policy
        self._context_store = ContextStore(policy.of_context)
        self._model = model
        self._reports = reports
        self._is_encoding = is_encoding
        self._on_ended = on_ended
        self._notify_at = 0.0
        self._finishing = False
        self._has_ended = False
        self._traced: dict[TrackKey, Context] = {}
        """By track, the context of the newest chunk that its producer traces."""

    @property
    def unpublished(self) -> int:
        """Windows that are closed but not yet published."""
        return sum([track.publisher.pending for track in self.tracks.values()])

    @property
    def publishing(self) -> bool:
        """Whether a closed window waits for publication or is being published."""
        return any(track.publisher.busy for track in self.tracks.values())

    def open_track(
        self,
        track: TrackKey,
        role: str,
        state: TrackState,
        *,
        on_fenced: Callable[[], None],
        may_publish: asyncio.Event,
        assignment: EpochAssignment | None,
    ) -> TrackScoring:
        """Begin a track.

        Args:
            track: The track.
            role: Its role, unless the session's plan gives another.
            state: Its final windows so far, according to Redis.
            on_fenced: Called when another worker owns the session now.
            may_publish: Set once no earlier epoch of the session can publish any more.
            assignment: The epoch's assignment, where workers gave it its number.
        """
        now = self._context.clock()
        self._context_store.add(state.contributions)
        self.aligner.add_final_windows([features.window for features in state.contributions], now)
        scoring = self._context.new_track_scoring(on_fenced, may_publish, assignment, self._context_store, self._model, state=state)
        self.tracks[track] = scoring
        self.aligner.open_track(
            track,
            role,
            state.final_until_ms,
            now,
            state.clock_skews,
            final_at_ms=state.final_at_ms,
            expected_before=state.modalities_expected,
            withheld=self._policy.withheld_since(track.track, self.aligner.role_of(track.track) or role),
        )
        return scoring

    def on_begun(self, arrival: Arrival) -> None:
        """Tell the aligner that a chunk which may be used is being encoded: windows that end before it need not wait for its content."""
        if not self.frozen:
            self._dispatch(self.aligner.on_begun(arrival.chunk.header))

    def on_encoded(self, arrival: Arrival, features: Features | None) -> None:
        """Pass an encoded chunk to the aligner. Features are None if the chunk could not be used, and is acknowledged already."""
        arrival.trace.end()
        if (parent := arrival.trace.context) is not None:
            self._traced[arrival.chunk.header.track] = parent
        if self.frozen:
            return
        self._notify_at = 0
        ack = None if features is None else SharedAck(arrival.record.acknowledge)
        chunk = _encoded(arrival, features, ack)
        outcome = self.aligner.on_chunk(chunk, self._context.clock())
        for late in outcome.late_words:
            if ack is not None:
                ack.hold()
                self._context.metrics.late_words.inc(late.words)
                self._reports.spawn(self._report_late_words(arrival, late, ack))
        self._dispatch(outcome, arrival)
        self._finish_if_idle()

    def on_withheld(self, arrival: Arrival, handling: Handling) -> None:
        """Pass a chunk that may not or can not be used to the aligner, without its content."""
        arrival.trace.end()
        if self.frozen:
            return
        self._notify_at = 0
        now = self._context.clock()
        if handling is Handling.LEAVE_OUT:
            self._dispatch(self.aligner.on_chunk(_encoded(arrival, None, arrival.record.acknowledge, left_out=True), now), arrival)
            self._finish_if_idle()
            return
        if handling is Handling.EMPTY:
            outcome = self.aligner.on_chunk(_encoded(arrival, None, arrival.record.acknowledge), now)
            # In no window, and in no topic of late chunks or dead letters, which would keep it.
            for chunk in (*(late.chunk for late in outcome.late), *outcome.conflicts, *outcome.future):
                if chunk.ack is not None:
                    chunk.ack()
        else:
            arrival.record.acknowledge()
            outcome = self.aligner.pass_over(_encoded(arrival, None, None), now)
        self._dispatch(outcome)
        self._finish_if_idle()

    def on_event(self, event: KeyedSessionEvent) -> None:
        """Apply a start, heartbeat, consent or end. What it says about consent is known to the policy already."""
        self._notify_at = 0
        now = self._context.clock()
        match event.event:
            case SessionStart():
                self.aligner.on_start(event.event, now)
                self._withhold(now)
            case SessionConsent():
                self.aligner.on_heartbeat(now)
                self._withhold(now)
            case SessionHeartbeat():
                self.aligner.on_heartbeat(now)
            case SessionEnd():
                self._dispatch(self.aligner.on_end(event.event, now))

    def on_inherited(self) -> None:
        """What was said in an earlier epoch has changed what may be used."""
        self._notify_at = 0
        self._withhold(self._context.clock())

    def _withhold(self, now: int) -> None:
        """What may be used has changed: windows wait for what may."""
        for track in self.tracks:
            role = self.aligner.role_of(track.track)
            if role is not None:
                self.aligner.withhold(track.track, self._policy.withheld_since(track.track, role), now)

    def on_time(self, now: int) -> None:
        """Let time pass on the caught-up clock."""
        if now >= self._notify_at and not self._has_ended:
            self._dispatch(self.aligner.on_time(now))
            self._notify_at = self.aligner.notify_at(now)

    def retire(self) -> None:
        """A newer epoch has begun: end this one after the grace period for its last chunks."""
        self._notify_at = 0
        self.aligner.retire(self._context.clock())

    def finish(self) -> None:
        """Close every window as soon as no chunk is being encoded any more."""
        self._finishing = True
        self._finish_if_idle()

    def _finish_if_idle(self) -> None:
        if self._finishing and not self._has_ended and not self._is_encoding():
            self._dispatch(self.aligner.finish())

    def shed(self) -> None:
        """Close the oldest window now, to free memory."""
        self._dispatch(self.aligner.shed())

    def stop(self) -> None:
        """Drop every window that is not published; their chunks stay unacknowledged and will be read again."""
        for track in self.tracks.values():
            track.stop()

    def _dispatch(self, outcome: Outcome[Ack], arrival: Arrival | None = None) -> None:
        """Forward the output of a call to the aligner, in this order.

        1. Closed windows, to be scored and published.
        2. Chunks in no further window: acknowledged after the windows before them.
        3. Open windows, for partial results, and to have their words encoded.
        4. Chunks that are in no window: repeated ones are acknowledged, the others reported and then acknowledged.

        Args:
            outcome: The aligner's output.
            arrival: The chunk that the call was about, if it was about a chunk.
        """
        # 1.
        for closed in outcome.closed:
            window = self._policy.applied(closed.window)
            trace = self._context.tracing.window(window, self._traced.get(window.track))
            self.tracks[window.track].score(replace(closed, window=window), trace)
        # 2. Through the publisher: such a chunk may have been in the track's last window, which is not published yet.
        for unused in outcome.unused:
            self.tracks[unused.track].publisher.acknowledge_after(unused.acks)
        # 3.
        for window in outcome.partial:
            self.tracks[window.track].publish_partial(self._policy.applied(window))
        for window in outcome.spoken:
            self.tracks[window.track].encode_ahead(self._policy.applied(window))
        # 4.
        for repeated in outcome.repeated:
            if repeated.ack is not None:
                self._context.metrics.repeated_chunks.labels(repeated.header.modality).inc()
                repeated.ack()
        if arrival is not None:
            self._report(outcome, arrival)
        if self.aligner.ended and not self._has_ended:
            self._has_ended = True
            self._on_ended()

    def _report(self, outcome: Outcome[Ack], arrival: Arrival) -> None:
        for late in outcome.late:
            if late.chunk.ack is not None:
                self._context.metrics.late_chunks.labels(late.chunk.header.modality).inc()
                self._reports.spawn(self._report_late(arrival, late.late_by_ms))
        self._reject(outcome.conflicts, arrival, "conflict", "another chunk with its number came before")
        self._reject(outcome.future, arrival, "future", "its media time runs ahead of its capture time: see windows.max_ahead_ms")

    def _reject(self, chunks: tuple[EncodedChunk[Ack], ...], arrival: Arrival, reason: str, detail: str) -> None:
        for chunk in chunks:
            if chunk.ack is not None:
                self._reports.spawn(self._context.dead_letter(arrival.record, reason, detail))

    async def _report_late_words(self, arrival: Arrival, late: LateWords[Ack], ack: Ack) -> None:
        await self._context.send((self._context.topics.late, *late_words_message(arrival.record, late.late_by_ms, late.words)))
        ack()

    async def _report_late(self, arrival: Arrival, late_by_ms: int) -> None:
        await self._context.send((self._context.topics.late, *late_message(arrival.record, late_by_ms)))
        arrival.record.acknowledge()
