"""Routes the records of a worker to their sessions, and keeps the worker's bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from stream.domain.chunk import Chunk
from stream.domain.delivery import InboundRecord
from stream.domain.identity import SessionKey
from stream.domain.kafka_records import BadRecordError, parse_chunk, parse_session
from stream.domain.modality import MODALITIES
from stream.domain.session_events import KeyedSessionEvent, SessionHeartbeat
from stream.pipeline.epoch import EpochProcessor
from stream.pipeline.ownership import Claim, Ownership
from stream.pipeline.processing_context import ProcessingContext
from stream.pipeline.session import Intake, SessionProcessor

log = structlog.get_logger(__name__)

DRAIN_POLL_S = 0.02
"""How often a drain checks whether everything is published. All publishers must be idle at the same time, and no single event says so."""


class ErasedSessionError(Exception):
    """The session was erased (`sentistream forget`): its records are acknowledged, and kept nowhere."""


class SessionRouter:
    """Receives records in the order of their partitions. Time and rebalances are separate inputs.

    At the bounds on chunks that are being encoded and on unpublished windows, `on_record` waits: the consumer then reads no further, and
    Kafka keeps the rest. The other bounds do not wait, because waiting would free nothing. With too many open epochs, the records of a
    further epoch go to the dead letters. With too many held chunks, the oldest window closes early and carries the warning ``shed``. With
    too many windows that wait for an earlier epoch, that epoch closes early.

    A record that was waiting when its partition was revoked is dropped. It will be read again. Acknowledging it now could commit past it,
    so it would never be reread.

    Args:
        context: The worker's shared parts.
    """

    def __init__(self, context: ProcessingContext) -> None:
        self._context = context
        self._sessions: dict[SessionKey, SessionProcessor] = {}
        self._modality_of = {context.topics.chunks(m): m for m in MODALITIES}
        self._ownership = Ownership(context.settings.kafka.session_timeout_s, context.rejoin)
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._draining = False
        self._stopped = False
        self._watch()

    @property
    def open_epochs(self) -> int:
        """Open epochs of all sessions."""
        return len(self._epochs)

    def _watch(self) -> None:
        """Let the metrics show how much is open."""
        metrics, clock = self._context.metrics, self._context.clock
        metrics.watch(metrics.behind, lambda: self._context.overload.behind_ms / 1000)
        metrics.watch(metrics.held_chunks, lambda: sum(epoch.windows.aligner.held for epoch in self._epochs))
        metrics.watch(metrics.unpublished_windows, lambda: sum(epoch.windows.unpublished for epoch in self._epochs))
        metrics.watch(
            metrics.watermark_lag,
            lambda: max([epoch.windows.aligner.watermark_lag_ms(clock()) for epoch in self._epochs], default=0.0) / 1000,
        )

    @property
    def _epochs(self) -> list[EpochProcessor]:
        return [epoch for session in self._sessions.values() for epoch in session.epochs]

    async def on_record(self, record: InboundRecord) -> None:
        """Process one record. Never raises because of a record's content; waits while the worker is full."""
        generation = self._ownership.generation
        self._context.metrics.count_message(record.topic.removeprefix(self._context.settings.kafka.topic_prefix), len(record.value or b""))
        await self._has_room.wait()
        if self._is_void(generation):
            return
        try:
            modality = self._modality_of.get(record.topic)
            if modality is None:
                event = parse_session(record.key, record.value, record.headers)
                if await self._is_ours(event.key, record, generation):
                    await self._on_event(event, record)
            else:
                chunk = parse_chunk(record.key, record.value, record.headers, modality)
                if await self._is_ours(chunk.header.session, record, generation):
                    await self._on_chunk(chunk, record)
        except ErasedSessionError:
            log.warning("session_erased", topic=record.topic, partition=record.partition, offset=record.offset)
            self._context.metrics.erased_records.inc()
            record.acknowledge()
        except BadRecordError as error:
            await self._context.dead_letter(record, error.reason, str(error))

    def _is_void(self, generation: int) -> bool:
        """Whether a record that was read in a generation must be dropped: it will be read again."""
        return self._stopped or generation != self._ownership.generation

    async def _is_ours(self, session: SessionKey, record: InboundRecord, generation: int) -> bool:
        """Whether a record is to be processed by this worker, as far as is known now; False if it must be dropped.

        Raises:
            BadRecordError: It is in the wrong partition, or its session was given up.
        """
        placement, key = self._context.placement, record.key or b""
        if not placement.fits(key, record.partition):
            try:
                await placement.check(key, record.partition)
            except BadRecordError:
                if self._is_void(generation):
                    return False
                raise
            if self._is_void(generation):
                return False
        if self._ownership.is_given_up(session):
            raise BadRecordError(
                "fenced_off", "another worker publishes this session: two deployments that share a Redis must not receive the same session"
            )
        return True

    async def _on_chunk(self, chunk: Chunk, record: InboundRecord) -> None:
        claim = self._ownership.claim(chunk.header.session)
        await self._context.chunk_slots.acquire()
        intake = Intake.SESSION_DONE
        try:
            while intake is Intake.SESSION_DONE:
                session = await self._session(chunk.header.session, claim)
                intake = Intake.DROPPED if session is None else await session.on_chunk(chunk, record, claim)
        finally:
            if intake is not Intake.TAKEN:
                self._context.chunk_slots.release()
            self._forget_if_done(chunk.header.session)

    async def _on_event(self, event: KeyedSessionEvent, record: InboundRecord) -> None:
        if event.key not in self._sessions and isinstance(event.event, SessionHeartbeat):
            record.acknowledge()
            return
        claim = self._ownership.claim(event.key)
        session = await self._session(event.key, claim)
        try:
            if session is not None:
                await session.on_event(event, record, claim)
        finally:
            self._forget_if_done(event.key)

    async def _session(self, key: SessionKey, claim: Claim) -> SessionProcessor | None:
        """The session that a record belongs to; None if the claim to it is lost."""
        if claim.is_lost:
            return None
        session = self._sessions.get(key)
        if session is None:
            known = await self._context.store.epochs(key)
            if claim.is_lost:
                return None
            if known.erased:
                raise ErasedSessionError
            session = SessionProcessor(key, known, self._context, self._on_opening, self._on_epoch_done)
            self._sessions[key] = session
        return session

    def _on_opening(self, session: SessionProcessor) -> None:
        """Check the limit, and keep the session: its last epoch may have ended, and the router forgotten it, while it waited for Redis."""
        if self.open_epochs >= self._context.settings.limits.sessions:
            raise BadRecordError("too_many_sessions", "this worker has as many open sessions as it may have")
        self._sessions[session.key] = session

    @property
    def overload(self) -> str:
        """Why results come late or lack media; empty while the worker keeps up."""
        return self._context.overload.description

    @property
    def problem(self) -> str | None:
        """Why records wait although the worker has room; None if they do not."""
        return self._context.placement.problem

    def _on_epoch_done(self, session: SessionProcessor, epoch: EpochProcessor) -> None:
        if epoch.fenced:
            self._ownership.fence_off(session.key, epoch.partition)
        self._forget_if_done(session.key)
        self._keep_bounds()

    def _forget_if_done(self, key: SessionKey) -> None:
        session = self._sessions.get(key)
        if session is not None and not session.epochs:
            del self._sessions[key]

    def on_time(self, caught_up_until: int | None, unread_ms: int = 0) -> None:
        """Let time pass. While the worker drains, no window is closed any more.

        Args:
            caught_up_until: The moment (ms) up to which all input that existed had been read; None while some has not been read.
            unread_ms: Age of the oldest record that has not been read.
        """
        self._context.overload.on_time(unread_ms)
        if self._draining:
            return
        self._ownership.on_time(asyncio.get_running_loop().time())
        self._context.clock.tick(caught_up_until)
        if caught_up_until is not None:
            now = self._context.clock.caught_up_ms
            for session in list(self._sessions.values()):
                session.on_time(now)
        self._keep_bounds()

    def on_revoked(self, partitions: Iterable[int]) -> None:
        """Drop the sessions of partitions that another worker will take; it reads their open chunks again."""
        gone = set(partitions)
        self._ownership.void_claims()
        for session in list(self._sessions.values()):
            session.drop(gone)
        self._ownership.on_revoked(gone)

    def on_assigned(self) -> None:
        """Take a new fencing token: the worker that had these partitions before can no longer publish for them."""
        self._context.fence.renew()
        self._context.placement.renew()

    async def drain(self, seconds: float) -> bool:
        """Accept no more records, and publish the closed windows. Open windows stay unacknowledged for the successor.

        1. Void all claims, so that waiting records are dropped.
        2. Freeze every epoch: no further window closes.
        3. Wait until the closed windows are published.

        Args:
            seconds: How long to wait. A window that is not published by then stays unacknowledged, too.

        Returns:
            False if the time did not suffice.
        """
        # 1.
        self._draining = True
        self._ownership.void_claims()
        self._has_room.clear()
        # 2.
        for epoch in self._epochs:
            epoch.windows.frozen = True
        # 3.
        try:
            async with asyncio.timeout(seconds):
                while any(epoch.publishing for epoch in self._epochs):  # noqa: ASYNC110 (see DRAIN_POLL_S)
                    await asyncio.sleep(DRAIN_POLL_S)
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        """Drop all sessions: the worker stops, and its successor reads their open chunks again."""
        self._stopped = True
        self.on_revoked({*(epoch.partition for epoch in self._epochs), *self._ownership.fenced.values()})
        self._context.fence.drop()
        self._context.placement.drop()

    def _keep_bounds(self) -> None:
        """Free memory where a limit is passed, and stop reading while too many windows are unpublished."""
        limits = self._context.settings.limits
        epochs = self._epochs
        held = unpublished = blocked = 0
        for epoch in epochs:
            held += epoch.windows.aligner.held
            if windows := epoch.windows.unpublished:
                unpublished += windows
                blocked += 0 if epoch.may_publish.is_set() else windows
        if held > limits.chunks_held:
            max(epochs, key=lambda epoch: epoch.windows.aligner.held).windows.shed()
        if not self._draining and blocked > 2 * limits.windows_in_flight:
            max(self._sessions.values(), key=lambda session: session.blocked_windows).force_publish(self._context.clock())
        if self._draining or unpublished > 4 * limits.windows_in_flight:
            self._has_room.clear()
        else:
            self._has_room.set()
