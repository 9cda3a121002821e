"""One session on a worker: which epoch each record belongs to, and the order in which epochs publish."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from enum import Enum, auto

import structlog

from stream.domain.chunk import Chunk, ChunkHeader
from stream.domain.delivery import InboundRecord
from stream.domain.epoch import SessionEpochs, epoch_at
from stream.domain.identity import SessionKey
from stream.domain.kafka_records import BadRecordError
from stream.domain.session_events import MAX_EVENTS, KeyedSessionEvent, SessionHeartbeat
from stream.pipeline.epoch import EpochProcessor
from stream.pipeline.ownership import Claim
from stream.pipeline.processing_context import ProcessingContext

log = structlog.get_logger(__name__)


class Intake(Enum):
    """The result of passing a chunk to a session."""

    TAKEN = auto()
    DROPPED = auto()
    """The claim to the session was lost; the record will be read again."""
    SESSION_DONE = auto()
    """The session was completed in the meantime: the chunk belongs to a new `SessionProcessor`."""


class SessionProcessor:
    """Holds an `EpochProcessor` for each epoch of the session that is not over.

    The newest epoch is live. The epochs before it retire: they still accept their own chunks that were in flight when the newer epoch
    began, or that are read again after a takeover, in any order. Then they end by themselves.

    Redis refuses a window of an epoch before the track's last one. So an epoch publishes only when it may: when no earlier epoch is open,
    and none can be opened by a chunk that is still to be read.

    A media clock that starts again without a new ``ce_epoch`` gets an epoch of its own (see `_assign_epoch`). It is written to Redis before
    any of its chunks is processed. From then on chunks are told apart by the wall clock at which their media began, so that a worker that
    takes over sorts every chunk the same way.

    Args:
        key: The session.
        known: What Redis holds about its epochs.
        context: The worker's shared parts.
        on_opening: Called before an epoch is opened; raises `BadRecordError` if the worker has too many open epochs.
        on_done: Called each time an epoch ends.
    """

    def __init__(
        self,
        key: SessionKey,
        known: SessionEpochs,
        context: ProcessingContext,
        on_opening: Callable[[SessionProcessor], None],
        on_done: Callable[[SessionProcessor, EpochProcessor], None],
    ) -> None:
        self.key = key
        self._assignments = known.assignments
        self._final = known.final
        self._consents = dict(known.consents)
        self._context = context
        self._on_opening = on_opening
        self._on_done = on_done
        self._over = -1
        """Epochs up to this number accept no more chunks."""
        self._all_read_at = context.clock() + context.settings.windows.end_grace_ms
        """Time by which every existing chunk will have been read, on the caught-up clock."""
        self._epochs: dict[int, EpochProcessor] = {}

    @property
    def epochs(self) -> list[EpochProcessor]:
        """The open epochs, the oldest first."""
        return list(self._epochs.values())

    @property
    def blocked_windows(self) -> int:
        """Closed windows of epochs that may not publish yet."""
        return sum(epoch.windows.unpublished for epoch in self._epochs.values() if not epoch.may_publish.is_set())

    async def on_chunk(self, chunk: Chunk, record: InboundRecord, claim: Claim) -> Intake:
        """Pass a chunk to its epoch. The caller has taken a chunk slot for it, and gives it back unless this returns `Intake.TAKEN`."""
        header = chunk.header
        while (epoch := await self._epoch_of(header.epoch, header.media_start_at_ms, record, claim)) is not None:
            if await epoch.on_chunk(chunk, record):
                return Intake.TAKEN
            if not epoch.complete:
                await self._assign_epoch(epoch, header, record, claim)
            if epoch.complete or not self._epochs:
                return Intake.SESSION_DONE
        return Intake.DROPPED

    async def on_event(self, event: KeyedSessionEvent, record: InboundRecord, claim: Claim) -> None:
        """Pass an event to its epoch."""
        epoch = await self._epoch_of(event.event.epoch, _media_start_at_ms(event), record, claim)
        if epoch is None:
            return
        if epoch.events_held >= MAX_EVENTS and not isinstance(event.event, SessionHeartbeat):
            raise BadRecordError("too_many_events", "the epoch has as many starts and ends as it may have")
        await epoch.on_event(event, record)

    async def _epoch_of(self, declared: int, media_start_at_ms: float, record: InboundRecord, claim: Claim) -> EpochProcessor | None:
        """The epoch that a record belongs to, opened if need be; None if the claim is lost.

        Raises:
            BadRecordError: The epoch has ended, or the worker has too many open epochs.
        """
        same_clock_ms = self._context.same_clock_ms
        while not claim.is_lost:
            epoch = self._number_of(declared, media_start_at_ms)
            if epoch is not None:
                return self._epochs.get(epoch) or self._open(epoch, record.partition)
            # The number that the producer declares was given to another clock: this clock needs a number, too.
            self._assignments = await self._context.store.begin_epoch(self.key, declared, 0, same_clock_ms, -1)
        return None

    def _number_of(self, declared: int, media_start_at_ms: float) -> int | None:
        """As `stream.domain.epoch.epoch_at`."""
        if not self._assignments:
            return declared
        return epoch_at(self._assignments, declared, media_start_at_ms + self._context.same_clock_ms)

    def _open(self, number: int, partition: int) -> EpochProcessor:
        """Open an epoch; all epochs but the newest retire."""
        if number <= self._over:
            raise BadRecordError("old_epoch", "a newer epoch of this session has begun")
        self._on_opening(self)
        assignment = next((assigned for assigned in self._assignments if assigned.epoch == number), None)
        opened = EpochProcessor(
            self.key,
            number,
            partition,
            self._context,
            self._on_epoch_done,
            on_consent=self._on_consent,
            consents=self._consents,
            assignment=assignment,
        )
        self._epochs[number] = opened
        self._epochs = dict(sorted(self._epochs.items()))
        for retiring in self.epochs[:-1]:
            retiring.windows.retire()
        self._let_oldest_publish(self._context.clock())
        return opened

    async def _assign_epoch(self, before: EpochProcessor, header: ChunkHeader, record: InboundRecord, claim: Claim) -> None:
        """Give a media clock that has started again its own epoch number, in Redis before anything else.

        Args:
            before: The epoch that its first chunk does not belong to.
            header: The first chunk's header.
            record: The first chunk's record.
            claim: This worker's claim to the session.
        """
        if before.epoch < max(self._epochs, default=-1):
            raise BadRecordError("restarted", "its media clock has started again in an epoch that is not the newest")
        context, media_start_at_ms = self._context, header.media_start_at_ms
        assignments = await context.store.begin_epoch(self.key, header.epoch, media_start_at_ms, context.same_clock_ms, before.epoch)
        if claim.is_lost or not self._epochs:
            return
        self._assignments = assignments
        log.info("epoch_begun", partition=record.partition, offset=record.offset)
        newer = await self._epoch_of(header.epoch, media_start_at_ms, record, claim)
        if newer is not None:
            for event, event_record in before.transfer_events(lambda event: self._belongs_to(event, newer)):
                await newer.on_event(event, event_record)

    def _belongs_to(self, event: KeyedSessionEvent, epoch: EpochProcessor) -> bool:
        return self._number_of(event.event.epoch, _media_start_at_ms(event)) == epoch.epoch

    def on_time(self, now: int) -> None:
        """Let time pass on the caught-up clock."""
        for epoch in self.epochs:
            epoch.on_time(now)
        self._let_oldest_publish(now)

    def force_publish(self, now: int) -> None:
        """Stop waiting for chunks of earlier epochs: too many windows are blocked."""
        self._all_read_at = now
        for retiring in self.epochs[:-1]:
            retiring.windows.finish()
        self._let_oldest_publish(now)

    def drop(self, partitions: Collection[int]) -> None:
        """Drop the epochs of these partitions."""
        for epoch in self.epochs:
            if epoch.partition in partitions:
                self._on_epoch_done(epoch)

    def _on_consent(self, epoch: EpochProcessor) -> None:
        """A withdrawal in an epoch also counts in later ones, of which chunks may have been read before it."""
        for later in self.epochs:
            if later.epoch > epoch.epoch:
                later.inherit_withdrawals()

    def _on_epoch_done(self, epoch: EpochProcessor) -> None:
        """Stop an epoch that is complete, fenced off or dropped."""
        self._remove(epoch)
        if epoch.fenced:
            for other in self.epochs:
                self._remove(other)
        self._on_done(self, epoch)

    def _remove(self, epoch: EpochProcessor) -> None:
        """Stop and forget an epoch. If it is complete, the next epoch may publish."""
        epoch.stop()
        if self._epochs.get(epoch.epoch) is epoch:
            del self._epochs[epoch.epoch]
        if epoch.complete:
            self._over = max(self._over, epoch.epoch)
            self._let_oldest_publish(self._context.clock())

    def _let_oldest_publish(self, now: int) -> None:
        """Let the oldest open epoch publish, if no epoch before it can be opened any more."""
        oldest = next(iter(self._epochs), None)
        if oldest is None or self._epochs[oldest].may_publish.is_set():
            return
        if now >= self._all_read_at:
            self._over = max(self._over, oldest - 1)
        if oldest <= max(self._over + 1, self._final):
            self._epochs[oldest].may_publish.set()


def _media_start_at_ms(event: KeyedSessionEvent) -> float:
    """An event without a time belongs to the newest media clock, and so does one about consent."""
    return math.inf if event.media_start_at_ms is None else event.media_start_at_ms
