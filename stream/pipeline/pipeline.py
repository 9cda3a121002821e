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
from stream.pipeline.fence import FencedOffError
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
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._conversations: dict[SessionKey, Conversation] = {}
        self._retiring: set[Conversation] = set()
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
        """Open conversations."""
        return len(self._conversations)

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
            if generation == self._generation and chunk.header.session not in self._fenced:
                await self._conversation(chunk.header.session, chunk.header.epoch, record).on_chunk(chunk, record)
            else:
                self._world.chunk_slots.release()
        except BaseException:
            self._world.chunk_slots.release()
            raise

    async def _on_notice(self, notice: SessionNotice, record: InboundRecord) -> None:
        if notice.key in self._fenced:
            return
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
        if conversation.fenced:
            self._leave_alone(conversation)
        self._keep_bounds()

    def _leave_alone(self, conversation: Conversation) -> None:
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
            for conversation in list(self._conversations.values()):
                conversation.on_time(now)
        self._keep_bounds()

    def on_revoked(self, partitions: Iterable[int]) -> None:
        """Drop the conversations of partitions that another worker will take; it reads their open chunks again."""
        self._generation += 1
        gone = set(partitions)
        for conversation in [c for c in (*self._conversations.values(), *self._retiring) if c.partition in gone]:
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
        for conversation in (*self._conversations.values(), *self._retiring):
            conversation.freeze()
        try:
            async with asyncio.timeout(seconds):
                while any(c.publishing for c in (*self._conversations.values(), *self._retiring)):  # noqa: ASYNC110 (no one event)
                    await asyncio.sleep(DRAIN_POLL_S)
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        """Drop all conversations: the worker stops, and whoever takes over reads their open chunks again."""
        self._stopped = True
        self.on_revoked({*(c.partition for c in (*self._conversations.values(), *self._retiring)), *self._fenced.values()})
        self._world.fence.drop()

    def on_assigned(self) -> None:
        """Take a new fencing token: whoever had these partitions before can no longer publish for them."""
        self._world.fence.renew()

    def _keep_bounds(self) -> None:
        limits = self._world.settings.limits
        if sum(c.held for c in self._conversations.values()) > limits.chunks_held:
            max(self._conversations.values(), key=lambda c: c.held).shed()
        unpublished = sum(c.unpublished for c in self._conversations.values())
        if self._draining or unpublished > 4 * limits.windows_in_flight:
            self._room.clear()
        else:
            self._room.set()
