"""Final windows of one track: scored side by side, published strictly in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from msgspec.structs import replace

from stream.align.outcome import ClosedWindow
from stream.domain.delivery import Verdict
from stream.domain.epoch import Run
from stream.domain.past import PastFeatures
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.domain.topics import Topics
from stream.domain.window import Window
from stream.pipeline.memory import Memory, Recall
from stream.pipeline.ports import ResultStore, Scorer, Send
from stream.pipeline.timings import Step, Timings
from stream.sinks.dead_letter import unscorable_message
from stream.sinks.results import result_message

log = structlog.get_logger(__name__)

Receipt = Callable[[], object]
Scored = tuple[ScoreRecord, ExplanationRecord]


@dataclass(frozen=True, slots=True)
class _Scoring:
    """A closed window on its way."""

    closed: ClosedWindow[Receipt]
    recall: Recall
    task: asyncio.Task[Scored]


class TrackPublisher:
    """Publishes the windows of a track: Kafka first, then Redis, then the chunks are acknowledged.

    A window that overtook another would make Redis refuse the slower one for ever, hence the order.

    Args:
        scorer: Scores a window; waits outages out.
        store: Redis.
        send: Kafka.
        topics: Names of the result topics.
        slots: Bounds the windows that are being scored or published on this worker.
        token: The fencing token in force, once there is one.
        on_fenced: Called when another worker owns the session now.
        turn: Set when nothing is to be published before these windows any more.
        run: Which media clock the windows are of, where workers numbered it.
        memory: What the conversation's windows leave for those after them.
        timings: Told how long each step took.
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
        turn: asyncio.Event,
        run: Run | None,
        memory: Memory,
        timings: Timings,
    ) -> None:
        self._scorer = scorer
        self._store = store
        self._send = send
        self._topics = topics
        self._slots = slots
        self._token = token
        self._on_fenced = on_fenced
        self._turn = turn
        self._media_clock = run
        self._memory = memory
        self._timings = timings
        self._queue: asyncio.Queue[_Scoring | tuple[Receipt, ...]] = asyncio.Queue()
        self._publishing = False
        self._runner = asyncio.create_task(self._run())
        self._partial: asyncio.Task[None] | None = None

    @property
    def pending(self) -> int:
        """Windows not yet published."""
        return self._queue.qsize()

    @property
    def busy(self) -> bool:
        """Whether a window is being published or waits for it."""
        return not self._runner.done() and (self._publishing or not self._queue.empty())

    @property
    def runner(self) -> asyncio.Task[None]:
        """The task that publishes; it ends only when it is cancelled or fails."""
        return self._runner

    def publish(self, closed: ClosedWindow[Receipt]) -> None:
        """Score a window and publish it after those before it; those that it hears are known to the memory."""
        recall = self._memory.recall(closed.window)
        self._queue.put_nowait(_Scoring(closed, recall, asyncio.create_task(self._score(closed, recall))))
        self._time(Step.ALIGN, closed.window)

    def release(self, receipts: tuple[Receipt, ...]) -> None:
        """Acknowledge chunks that no further window needs, after the windows before: they may have been in the last one."""
        self._queue.put_nowait(receipts)

    async def drained(self) -> None:
        """Wait until everything is published."""
        await self._queue.join()

    def stop(self) -> None:
        """Drop everything that is not published; the chunks stay unacknowledged and will be read again."""
        self._runner.cancel()
        if self._partial is not None:
            self._partial.cancel()
        while not self._queue.empty():
            waiting = self._queue.get_nowait()
            if isinstance(waiting, _Scoring):
                self._abandon(waiting.task)

    def look(self, window: Window) -> None:
        """Show an open window, unless the last look is still being scored: a partial result may be skipped, a final one never."""
        if self._partial is None or self._partial.done():
            self._partial = asyncio.create_task(self._show(window, self._memory.recall(window)))

    async def _show(self, window: Window, recall: Recall) -> None:
        try:
            await self._store.put_partial(await self._scorer.partial(window, recall))
        except Exception as error:
            log.warning("partial_failed", error=type(error).__name__)

    def _abandon(self, scoring: asyncio.Task[Scored]) -> None:
        if not scoring.cancel() and not scoring.cancelled() and scoring.exception() is None:
            self._slots.release()

    async def _score(self, closed: ClosedWindow[Receipt], recall: Recall) -> Scored:
        await self._turn.wait()
        await self._slots.acquire()
        try:
            score, explanation = await self._scorer.final(closed.window, recall)
            return (score if self._media_clock is None else replace(score, run=self._media_clock)), explanation
        except BaseException as error:
            self._slots.release()
            if isinstance(error, Exception):
                recall.leave_nothing()
            raise

    async def _run(self) -> None:
        while True:
            waiting = await self._queue.get()
            self._publishing = True
            if isinstance(waiting, _Scoring):
                await self._finish(waiting)
            else:
                _acknowledge(waiting)
            self._publishing = False
            self._queue.task_done()

    async def _finish(self, scoring: _Scoring) -> None:
        try:
            scored = await asyncio.shield(scoring.task)
        except asyncio.CancelledError:
            self._abandon(scoring.task)
            raise
        except Exception as error:
            await self._give_up(scoring.closed, error)
        else:
            try:
                await self._publish(scoring.closed, scored, scoring.recall.left)
            finally:
                self._slots.release()

    async def _publish(self, closed: ClosedWindow[Receipt], scored: Scored, left: PastFeatures | None) -> None:
        began = time.perf_counter()
        score, explanation = scored
        await self._send((self._topics.scores, *result_message(score)), (self._topics.explanations, *result_message(explanation)))
        verdict = await self._store.finalise(score, explanation, await self._token(), left)
        if verdict is Verdict.FENCED:
            self._on_fenced()
            return
        _acknowledge(closed.receipts)
        self._timings.add(Step.PUBLISH, (time.perf_counter() - began) * 1000)
        self._time(Step.TOTAL, closed.window)

    def _time(self, step: Step, window: Window) -> None:
        if window.media_end_at_ms is not None:
            self._timings.add(step, time.time() * 1000 - window.media_end_at_ms)

    async def _give_up(self, closed: ClosedWindow[Receipt], error: Exception) -> None:
        """A window that the model refuses is reported; repeating it would not help and would hold up those after it."""
        window = closed.window
        log.error("window_unscorable", error=type(error).__name__, epoch=window.epoch, end_ms=window.end_ms)
        await self._send((self._topics.dead_letters, *unscorable_message(window, type(error).__name__)))
        _acknowledge(closed.receipts)


def _acknowledge(receipts: tuple[Receipt, ...]) -> None:
    for acknowledge in receipts:
        acknowledge()
