"""The final windows of one track: scored side by side, published strictly in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from msgspec.structs import replace

from stream.align.outcome import ClosedWindow
from stream.domain.context import ContextFeatures
from stream.domain.delivery import FinaliseOutcome
from stream.domain.epoch import EpochAssignment
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.domain.topics import Topics
from stream.domain.window import Window
from stream.pipeline.ports import ResultStore, Scorer, Send
from stream.pipeline.timings import Step, Timings
from stream.pipeline.window_context import ContextStore, WindowContext
from stream.sinks.dead_letter import unscorable_message
from stream.sinks.results import result_message

log = structlog.get_logger(__name__)

Ack = Callable[[], object]
"""Acknowledges the record of a chunk."""

Scored = tuple[ScoreRecord, ExplanationRecord]


@dataclass(frozen=True, slots=True)
class _Scoring:
    """A closed window that is being scored."""

    closed: ClosedWindow[Ack]
    context: WindowContext
    task: asyncio.Task[Scored]


class TrackPublisher:
    """Publishes the windows of a track, each in four steps.

    1. **Score** the window. Windows are scored side by side, as soon as their epoch may publish.
    2. **Kafka**: write score and explanation to the result topics. Steps 2 to 4 run for one window after the other: Redis refuses a window
       that is older than the last final one, so a window that overtook another would make Redis refuse the slower one for ever.
    3. **Redis**: make the window final. Kafka comes first because the result topics can refill Redis, but not the other way round. A crash
       in between repeats the window, with the same content.
    4. **Acknowledge** the chunks for which this was the last window. Before this step, a crash makes the next worker read them again.

    Args:
        scorer: Scores a window; waits out outages.
        store: Redis.
        send: Kafka.
        topics: Names of the result topics.
        slots: Bounds the windows that are being scored or published on this worker.
        token: Returns the fencing token in force, once there is one.
        on_fenced: Called when another worker owns the session now.
        may_publish: Set once no earlier epoch of the session can publish any more.
        assignment: The epoch's assignment, where workers gave it its number.
        context_store: What the epoch's windows contribute to those after them.
        timings: Receives the duration of each step.
    """

    def __init__(
        self,
        scorer: Scorer,
        store: ResultStore,
        send: Send,
        *,
        topics: Topics,
        slots: asyncio.Semaphore,
        token: Callable[[], Awaitable[int]],
        on_fenced: Callable[[], None],
        may_publish: asyncio.Event,
        assignment: EpochAssignment | None,
        context_store: ContextStore,
        timings: Timings,
    ) -> None:
        self._scorer = scorer
        self._store = store
        self._send = send
        self._topics = topics
        self._slots = slots
        self._token = token
        self._on_fenced = on_fenced
        self._may_publish = may_publish
        self._assignment = assignment
        self._context_store = context_store
        self._timings = timings
        self._queue: asyncio.Queue[_Scoring | tuple[Ack, ...]] = asyncio.Queue()
        self._publishing = False
        self._runner = asyncio.create_task(self._run())
        self._partial: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """Windows that are not yet published."""
        return self._queue.qsize()

    @property
    def busy(self) -> bool:
        """Whether a window is being published or waits for it."""
        return not self._runner.done() and (self._publishing or not self._queue.empty())

    @property
    def runner(self) -> asyncio.Task[None]:
        """The task that publishes; it ends only when it is cancelled or fails."""
        return self._runner

    def publish(self, closed: ClosedWindow[Ack]) -> None:
        """Score a window, and publish it after the windows before it. The windows of its context were passed to `publish` before."""
        context = self._context_store.context_of(closed.window)
        self._queue.put_nowait(_Scoring(closed, context, asyncio.create_task(self._score(closed, context))))
        self._measure(Step.ALIGN, closed.window)

    def acknowledge_after(self, acks: tuple[Ack, ...]) -> None:
        """Acknowledge chunks that no further window needs, after the windows before them: they may have been in the last one."""
        self._queue.put_nowait(acks)

    def publish_partial(self, window: Window) -> None:
        """Score an open window and write it to Redis only.

        It is skipped while the partial result before it is still being scored: a partial result may be left out, a final one never.
        """
        if self._partial is None or self._partial.done():
            self._partial = asyncio.create_task(self._publish_partial(window, self._context_store.context_of(window)))

    async def drained(self) -> None:
        """Wait until everything is published."""
        await self._queue.join()

    def stop(self) -> None:
        """Drop everything that is not published; its chunks stay unacknowledged and will be read again."""
        self._runner.cancel()
        if self._partial is not None:
            self._partial.cancel()
        while not self._queue.empty():
            item = self._queue.get_nowait()
            if isinstance(item, _Scoring):
                self._abandon(item.task)

    async def _publish_partial(self, window: Window, context: WindowContext) -> None:
        try:
            await self._store.put_partial(await self._scorer.partial(window, context))
        except Exception as error:
            log.warning("partial_failed", error=type(error).__name__)

    async def _score(self, closed: ClosedWindow[Ack], context: WindowContext) -> Scored:
        await self._may_publish.wait()
        await self._slots.acquire()
        try:
            score, explanation = await self._scorer.final(closed.window, context)
            return (score if self._assignment is None else replace(score, run=self._assignment)), explanation
        except BaseException as error:
            self._slots.release()
            if isinstance(error, Exception):
                context.contribute_nothing()
            raise

    def _abandon(self, scoring: asyncio.Task[Scored]) -> None:
        """Cancel a scoring; give back its slot where it has ended already."""
        if not scoring.cancel() and not scoring.cancelled() and scoring.exception() is None:
            self._slots.release()

    async def _run(self) -> None:
        while True:
            item = await self._queue.get()
            self._publishing = True
            if isinstance(item, _Scoring):
                await self._finish(item)
            else:
                _acknowledge(item)
            self._publishing = False
            self._queue.task_done()

    async def _finish(self, scoring: _Scoring) -> None:
        # 1. The score. Shielded: when this task is cancelled, `_abandon` has to know whether the scoring still holds its slot.
        try:
            scored = await asyncio.shield(scoring.task)
        except asyncio.CancelledError:
            self._abandon(scoring.task)
            raise
        except Exception as error:
            await self._reject(scoring.closed, error)
            return
        try:
            await self._publish(scoring.closed, scored, scoring.context.contributed)
        finally:
            self._slots.release()

    async def _publish(self, closed: ClosedWindow[Ack], scored: Scored, contribution: ContextFeatures | None) -> None:
        began = time.perf_counter()
        score, explanation = scored
        # 2. Kafka.
        await self._send((self._topics.scores, *result_message(score)), (self._topics.explanations, *result_message(explanation)))
        # 3. Redis. A replayed window was final already: its chunks may go.
        outcome = await self._store.finalise(score, explanation, await self._token(), contribution)
        if outcome is FinaliseOutcome.FENCED:
            self._on_fenced()
            return
        # 4. The chunks.
        _acknowledge(closed.acks)
        self._timings.add(Step.PUBLISH, (time.perf_counter() - began) * 1000)
        self._measure(Step.TOTAL, closed.window)

    def _measure(self, step: Step, window: Window) -> None:
        if window.media_end_at_ms is not None:
            self._timings.add(step, time.time() * 1000 - window.media_end_at_ms)

    async def _reject(self, closed: ClosedWindow[Ack], error: Exception) -> None:
        """Put a window that the model refuses into the dead letters: to repeat it would not help, and would hold up those after it."""
        window = closed.window
        log.error("window_unscorable", error=type(error).__name__, epoch=window.epoch, end_ms=window.end_ms)
        await self._send((self._topics.dead_letters, *unscorable_message(window, type(error).__name__)))
        _acknowledge(closed.acks)


def _acknowledge(acks: tuple[Ack, ...]) -> None:
    for acknowledge in acks:
        acknowledge()
