"""All conversations of a worker: records in, in the order of their partitions; time and rebalances from the side."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from stream.domain.chunk import Chunk
from stream.domain.delivery import InboundRecord
from stream.domain.identity import SessionKey
from stream.domain.lifecycle import SessionHeartbeat, SessionNotice
from stream.domain.modality import MODALITIES
from stream.domain.wire import BadRecordError, parse_chunk, parse_session
from stream.pipeline.conversation import Conversation
from stream.pipeline.world import World

log = structlog.get_logger(__name__)


class Pipeline:
    """Routes records to conversations and keeps the worker's bounds.

    Every bound works by waiting in `on_record`: the consumer then reads no further, and Kafka keeps the rest. A record that was waiting
    when its partition was revoked is dropped: it will be read again, and acknowledging it twice could skip it.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._conversations: dict[SessionKey, Conversation] = {}
        self._retiring: set[Conversation] = set()
        self._modality_of = {world.topics.chunks(m): m for m in MODALITIES}
        self._room = asyncio.Event()
        self._room.set()
        self._generation = 0

    @property
    def sessions(self) -> int:
        """Open conversations."""
        return len(self._conversations)

    async def on_record(self, record: InboundRecord) -> None:
        """Take in one record. Never raises for what a record holds; waits while the worker is full."""
        await self._room.wait()
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
            if generation == self._generation:
                await self._conversation(chunk.header.session, chunk.header.epoch, record).on_chunk(chunk, record)
            else:
                self._world.chunk_slots.release()
        except BaseException:
            self._world.chunk_slots.release()
            raise

    async def _on_notice(self, notice: SessionNotice, record: InboundRecord) -> None:
        known = self._conversations.get(notice.key)
        if known is None and isinstance(notice.event, SessionHeartbeat):
            record.acknowledge()
            return
        await self._conversation(notice.key, notice.event.epoch, record).on_event(notice.event, record)

    def _conversation(self, session: SessionKey, epoch: int, record: InboundRecord) -> Conversation:
        known = self._conversations.get(session)
        if known is not None and known.epoch > epoch:
            raise BadRecordError("old_epoch", "a newer epoch of this session has begun")
        if known is not None and known.epoch == epoch:
            return known
        if known is None and self.sessions >= self._world.settings.limits.sessions:
            raise BadRecordError("too_many_sessions", "this worker has as many open sessions as it may have")
        if known is not None:
            self._retiring.add(known)
            known.finish()
        conversation = Conversation(session, epoch, record.partition, self._world, self._on_done)
        self._conversations[session] = conversation
        return conversation

    def _on_done(self, conversation: Conversation) -> None:
        conversation.stop()
        self._retiring.discard(conversation)
        if self._conversations.get(conversation.session) is conversation:
            del self._conversations[conversation.session]
        self._keep_bounds()

    def on_time(self, *, live: bool) -> None:
        """Let time pass; ``live`` is True while all input that exists has been read."""
        self._world.clock.tick(live=live)
        if live:
            now = self._world.clock()
            for conversation in list(self._conversations.values()):
                conversation.on_time(now)
        self._keep_bounds()

    def on_revoked(self, partitions: Iterable[int]) -> None:
        """Drop the conversations of partitions that another worker will take; it reads their open chunks again."""
        self._generation += 1
        gone = set(partitions)
        for conversation in [c for c in (*self._conversations.values(), *self._retiring) if c.partition in gone]:
            self._on_done(conversation)

    def stop(self) -> None:
        """Drop all conversations: the worker stops, and whoever takes over reads their open chunks again."""
        self.on_revoked({c.partition for c in (*self._conversations.values(), *self._retiring)})

    async def on_assigned(self) -> None:
        """Take a new fencing token: whoever had these partitions before can no longer publish for them."""
        self._world.token = await self._world.store.next_token()

    def _keep_bounds(self) -> None:
        limits = self._world.settings.limits
        if sum(c.held for c in self._conversations.values()) > limits.chunks_held:
            log.warning("shed", held=limits.chunks_held)
            max(self._conversations.values(), key=lambda c: c.held).shed()
        unpublished = sum(c.unpublished for c in self._conversations.values())
        if unpublished > 4 * limits.windows_in_flight:
            self._room.clear()
        else:
            self._room.set()
