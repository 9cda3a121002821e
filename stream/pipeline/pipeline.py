"""All conversations of a worker: records in, in the order of their partitions; time and rebalances from the side."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable

import structlog

from stream.domain.chunk import Chunk, ChunkHeader
from stream.domain.delivery import InboundRecord
from stream.domain.identity import SessionKey
from stream.domain.lifecycle import SessionHeartbeat, SessionNotice
from stream.domain.modality import MODALITIES
from stream.domain.wire import BadRecordError, parse_chunk, parse_session
from stream.pipeline.conversation import Conversation
from stream.pipeline.fence import FencedOffError
from stream.pipeline.open_session import OpenSession
from stream.pipeline.world import World

log = structlog.get_logger(__name__)

DRAIN_POLL_S = 0.02


class Pipeline:
    """Routes records to conversations and keeps the worker's bounds.

    Every bound works by waiting in `on_record`: the consumer then reads no further, and Kafka keeps the rest. A record that was waiting
    when its partition was revoked is dropped: it will be read again, and acknowledging it twice could skip it.

    A session that another worker owns is left alone, unacknowledged, until its partition is revoked: to begin it anew from the middle
    would publish windows with holes. If Kafka takes the partition for ours all the same, the worker gives up (`FencedOffError`),
    so that whoever is assigned next reads everything again.

    A media clock that begins anew without a new ``ce_epoch`` gets an epoch of its own (`_begin_anew`). It is written to Redis before
    any chunk of it is taken in, and from then on chunks are told apart by the wall clock at which their media began, so that whoever
    takes over puts every chunk where it was.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions: dict[SessionKey, OpenSession] = {}
        self._modality_of = {world.topics.chunks(m): m for m in MODALITIES}
        self._room = asyncio.Event()
        self._room.set()
        self._generation = 0
        self._draining = False
        self._stopped = False
        self._fenced: dict[SessionKey, int] = {}
        self._giving_up: asyncio.TimerHandle | None = None

    @property
    def sessions(self) -> int:
        """Open conversations; each epoch of a session is one."""
        return len(self._conversations)

    @property
    def _conversations(self) -> list[Conversation]:
        return [conversation for session in self._sessions.values() for conversation in session.conversations]

    async def on_record(self, record: InboundRecord) -> None:
        """Take in one record. Never raises for what a record holds; waits while the worker is full."""
        generation = self._generation
        await self._room.wait()
        if self._stopped or generation != self._generation:
            return
        try:
            await self._route(record)
        except BadRecordError as error:
            await self._world.dead_letter(record, error.reason, str(error))

    async def _route(self, record: InboundRecord) -> None:
        modality = self._modality_of.get(record.topic)
        if modality is None:
            await self._on_notice(parse_session(record.key, record.value, record.headers), record)
        else:
            await self._on_chunk(parse_chunk(record.key, record.value, record.headers, modality), record)

    async def _on_chunk(self, chunk: Chunk, record: InboundRecord) -> None:
        generation = self._generation
        await self._world.chunk_slots.acquire()
        try:
            if not await self._take_in(chunk, record, generation):
                self._world.chunk_slots.release()
        except BaseException:
            self._world.chunk_slots.release()
            raise

    async def _take_in(self, chunk: Chunk, record: InboundRecord, generation: int) -> bool:
        """False if the record is to be dropped."""
        header = chunk.header
        conversation = await self._conversation(header.session, header.epoch, header.zero_ms, record, generation)
        while conversation is not None and not await conversation.on_chunk(chunk, record):
            if conversation.complete:
                conversation = await self._conversation(header.session, header.epoch, header.zero_ms, record, generation)
            else:
                conversation = await self._begin_anew(conversation, header, record, generation)
        return conversation is not None

    async def _on_notice(self, notice: SessionNotice, record: InboundRecord) -> None:
        if notice.key not in self._sessions and isinstance(notice.event, SessionHeartbeat):
            record.acknowledge()
            return
        conversation = await self._conversation(notice.key, notice.event.epoch, _zero_ms(notice), record, self._generation)
        if conversation is not None:
            conversation.on_event(notice, record)

    async def _conversation(
        self, key: SessionKey, declared: int, zero_ms: float, record: InboundRecord, generation: int
    ) -> Conversation | None:
        """The conversation that a record belongs to; None if it is to be dropped."""
        session = self._sessions.get(key)
        if session is None and not self._is_gone(key, generation):
            known = await self._world.store.epochs(key)
            session = OpenSession(known, self._world.clock() + self._world.settings.windows.end_grace_ms)
        if session is None or self._is_gone(key, generation):
            return None
        while (epoch := session.epoch_at(declared, zero_ms + self._world.same_clock_ms)) is None:
            session.runs = await self._world.store.begin_epoch(key, declared, 0, self._world.same_clock_ms, -1)
            if self._is_gone(key, generation):
                return None
        return self._open(session, key, epoch, record)

    def _is_gone(self, key: SessionKey, generation: int) -> bool:
        """Whether the session is another worker's; it may have become so while Redis was asked."""
        return generation != self._generation or key in self._fenced

    def _open(self, session: OpenSession, key: SessionKey, epoch: int, record: InboundRecord) -> Conversation:
        known = session.conversation(epoch)
        if known is not None:
            return known
        if session.is_over(epoch):
            raise BadRecordError("old_epoch", "a newer epoch of this session has begun")
        if self.sessions >= self._world.settings.limits.sessions:
            raise BadRecordError("too_many_sessions", "this worker has as many open sessions as it may have")
        run = next((run for run in session.runs if run.epoch == epoch), None)
        conversation = Conversation(key, epoch, record.partition, self._world, self._on_done, run=run)
        self._sessions[key] = session
        session.add(conversation, self._world.clock())
        return conversation

    async def _begin_anew(self, before: Conversation, header: ChunkHeader, record: InboundRecord, generation: int) -> Conversation | None:
        """A media clock began anew though its producer says otherwise: it gets an epoch of its own, in Redis before anything else."""
        key, session = header.session, self._sessions[header.session]
        if not session.is_newest(before):
            raise BadRecordError("restarted", "its media clock began anew within an epoch that is not the newest")
        runs = await self._world.store.begin_epoch(key, header.epoch, header.zero_ms, self._world.same_clock_ms, before.epoch)
        if self._is_gone(key, generation):
            return None
        session.runs = runs
        log.info("epoch_begun", partition=record.partition, offset=record.offset)
        newer = await self._conversation(key, header.epoch, header.zero_ms, record, generation)
        if newer is not None:
            for notice, event_record in before.give_up_events(lambda notice: self._epoch_of(session, notice) == newer.epoch):
                newer.on_event(notice, event_record)
        return newer

    def _epoch_of(self, session: OpenSession, notice: SessionNotice) -> int | None:
        return session.epoch_at(notice.event.epoch, _zero_ms(notice) + self._world.same_clock_ms)

    def _on_done(self, conversation: Conversation) -> None:
        conversation.stop()
        session = self._sessions.get(conversation.session)
        if session is not None:
            session.remove(conversation, self._world.clock())
            if conversation.fenced:
                self._leave_alone(conversation, session)
            if not session.conversations:
                del self._sessions[conversation.session]
        self._keep_bounds()

    def _leave_alone(self, conversation: Conversation, session: OpenSession) -> None:
        for other in session.conversations:
            other.stop()
            session.remove(other, self._world.clock())
        self._fenced[conversation.session] = conversation.partition
        if self._giving_up is None:
            error = FencedOffError("another worker's fencing token is newer")
            patience_s = self._world.settings.kafka.session_timeout_s
            self._giving_up = asyncio.get_running_loop().call_later(patience_s, self._world.on_failure, error)

    def on_time(self, heard_until: int | None) -> None:
        """Let time pass: up to ``heard_until`` (ms) all input that existed had been read; None while it has not been.

        While draining, no window is closed any more.
        """
        if self._draining:
            return
        self._world.clock.tick(heard_until)
        if heard_until is not None:
            now = self._world.clock.heard_ms
            for session in list(self._sessions.values()):
                for conversation in session.conversations:
                    conversation.on_time(now)
                session.pass_turn(now)
        self._keep_bounds()

    def on_revoked(self, partitions: Iterable[int]) -> None:
        """Drop the conversations of partitions that another worker will take; it reads their open chunks again."""
        self._generation += 1
        gone = set(partitions)
        for conversation in [c for c in self._conversations if c.partition in gone]:
            self._on_done(conversation)
        self._fenced = {session: partition for session, partition in self._fenced.items() if partition not in gone}
        if not self._fenced and self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    async def drain(self, seconds: float) -> bool:
        """Take nothing in any more and publish the windows that are closed; False if that took longer than ``seconds``.

        What is still open, or was not published in time, stays unacknowledged: whoever takes over reads it again.
        """
        self._draining = True
        self._generation += 1
        self._room.clear()
        for conversation in self._conversations:
            conversation.freeze()
        try:
            async with asyncio.timeout(seconds):
                while any(c.publishing for c in self._conversations):  # noqa: ASYNC110 (no one event)
                    await asyncio.sleep(DRAIN_POLL_S)
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        """Drop all conversations: the worker stops, and whoever takes over reads their open chunks again."""
        self._stopped = True
        self.on_revoked({*(c.partition for c in self._conversations), *self._fenced.values()})
        self._world.fence.drop()

    def on_assigned(self) -> None:
        """Take a new fencing token: whoever had these partitions before can no longer publish for them."""
        self._world.fence.renew()

    def _keep_bounds(self) -> None:
        limits = self._world.settings.limits
        conversations = self._conversations
        held = unpublished = waiting = 0
        for conversation in conversations:
            held += conversation.held
            if windows := conversation.unpublished:
                unpublished += windows
                waiting += 0 if conversation.turn.is_set() else windows
        if held > limits.chunks_held:
            max(conversations, key=lambda c: c.held).shed()
        if not self._draining and waiting > 2 * limits.windows_in_flight:
            max(self._sessions.values(), key=lambda s: s.waiting).hurry(self._world.clock())
        if self._draining or unpublished > 4 * limits.windows_in_flight:
            self._room.clear()
        else:
            self._room.set()


def _zero_ms(notice: SessionNotice) -> float:
    """An event that says no time is of the newest media clock."""
    return math.inf if notice.zero_ms is None else notice.zero_ms
