"""The queue in which the chunks of one modality of one track wait for their encoder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec
import structlog

from stream.aio.tasks import TaskSet
from stream.domain.chunk import Chunk
from stream.domain.delivery import InboundRecord
from stream.domain.features import Features
from stream.domain.kafka_records import BadRecordError
from stream.media.errors import MediaError
from stream.pipeline.admission import Admission
from stream.pipeline.ports import TrackEncoder
from stream.pipeline.processing_context import ProcessingContext
from stream.pipeline.timings import Step
from stream.pipeline.tracing import NOTHING, Trace
from stream.policy.decisions import LEFT_OUT, Decision, Handling

log = structlog.get_logger(__name__)


class Arrival(msgspec.Struct, frozen=True):
    """A chunk, the record that it came in, when it was read (seconds of ``time.perf_counter``), and its span."""

    chunk: Chunk
    record: InboundRecord
    at: float = msgspec.field(default_factory=time.perf_counter)
    trace: Trace = NOTHING


class EncodeQueue:
    """Encodes chunks one after the other and passes them on in the order in which they arrived.

    The order matters: a chunk that overtook another would move the modality's watermark past it. Queues run concurrently.

    Args:
        encoder: The track's encoder.
        admission: Decides which chunks may be decoded.
        context: The worker's shared parts. Every queued chunk holds one of its chunk slots.
        tasks: Runs the queue.
        on_begun: Receives each chunk that may be used and needs a decoder or a model, when all before it have been passed on.
        on_encoded: Receives each chunk with its features; None for features of a chunk that went to the dead letters.
        on_withheld: Receives each chunk that may not be used, and how it is handled.
    """

    def __init__(
        self,
        encoder: TrackEncoder,
        admission: Admission,
        context: ProcessingContext,
        tasks: TaskSet,
        *,
        on_begun: Callable[[Arrival], None],
        on_encoded: Callable[[Arrival, Features | None], None],
        on_withheld: Callable[[Arrival, Handling], None],
    ) -> None:
        self._encoder = encoder
        self._admission = admission
        self._context = context
        self._tasks = tasks
        self._on_begun = on_begun
        self._on_encoded = on_encoded
        self._on_withheld = on_withheld
        self._queue: asyncio.Queue[Arrival] = asyncio.Queue()
        self._runner: asyncio.Task[None] | None = None
        self.pending = 0
        """Chunks that wait or are being encoded."""

    def put(self, arrival: Arrival) -> None:
        """If a chunk needs no model or may not be used, and no other is ahead of it, pass it on immediately. Otherwise queue it."""
        if self.pending == 0 and self._pass_on_immediately(arrival):
            self._context.chunk_slots.release()
            return
        if self._runner is None:
            self._runner = self._tasks.spawn(self._run())
        self.pending += 1
        self._queue.put_nowait(arrival)

    async def join(self) -> None:
        """Wait until every chunk has been passed on."""
        await self._queue.join()

    def drop(self) -> None:
        """Drop the chunks that wait; they stay unacknowledged and will be read again."""
        while not self._queue.empty():
            self._queue.get_nowait()
            self._context.chunk_slots.release()

    def _pass_on_immediately(self, arrival: Arrival) -> bool:
        decision = self._admission.decide(arrival.chunk.header)
        if decision is None:
            return False
        if decision.handling is not Handling.USE:
            self._withhold(arrival, decision)
            return True
        features = self._encode_immediately(arrival.chunk)
        if features is None:
            return self._leave_out(arrival)
        self._on_encoded(arrival, features)
        return True

    def _leave_out(self, arrival: Arrival) -> bool:
        """Pass on a chunk that is not to be decoded, because it has waited for too long; False for any other."""
        if not self._context.overload.leaves_out(arrival.chunk.header, arrival.record.known_at_ms):
            return False
        self._withhold(arrival, LEFT_OUT)
        return True

    def _withhold(self, arrival: Arrival, decision: Decision) -> None:
        self._context.metrics.chunks_withheld.labels(arrival.chunk.header.modality, decision.reason).inc()
        self._on_withheld(arrival, decision.handling)

    def _encode_immediately(self, chunk: Chunk) -> Features | None:
        """None also for a chunk that cannot be used: `_encode` finds the reason again and reports it."""
        try:
            return self._encoder.encode_immediately(chunk)
        except BadRecordError:
            return None

    async def _run(self) -> None:
        timings = self._context.timings
        while True:
            arrival = await self._queue.get()
            header, features, overload = arrival.chunk.header, None, self._context.overload
            try:
                decision = await self._admission.decided(header)
                if decision.handling is Handling.USE:
                    self._on_begun(arrival)
                async with overload.turn(header):
                    began = time.perf_counter()
                    if decision.handling is Handling.USE and overload.leaves_out(header, arrival.record.known_at_ms):
                        decision = LEFT_OUT
                    if decision.handling is Handling.USE:
                        features = await self._encode(arrival)
            finally:
                self._context.chunk_slots.release()
            if decision.handling is not Handling.USE:
                self.pending -= 1
                self._withhold(arrival, decision)
                self._queue.task_done()
                continue
            timings.add(Step.QUEUE, (began - arrival.at) * 1000)
            timings.add(Step.ENCODE, (time.perf_counter() - began) * 1000)
            self.pending -= 1
            self._on_encoded(arrival, features)
            self._queue.task_done()

    async def _encode(self, arrival: Arrival) -> Features | None:
        """None for a chunk that cannot be used, which is then among the dead letters."""
        try:
            return await self._encoder.encode(arrival.chunk)
        except (BadRecordError, MediaError) as error:
            await self._context.dead_letter(arrival.record, error.reason, str(error))
        except Exception as error:
            log.exception("encode_failed", modality=str(arrival.chunk.header.modality))
            await self._context.dead_letter(arrival.record, "internal_error", type(error).__name__)
        return None
