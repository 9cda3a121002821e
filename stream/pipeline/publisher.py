"""Publishes the scored windows of one track, strictly in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from stream.align.outcome import ClosedWindow
from stream.domain.alert import AlertRecord
from stream.domain.context import ContextFeatures
from stream.domain.delivery import FinaliseOutcome
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.domain.topics import Topics
from stream.domain.track_scores import TrackScores
from stream.explain.changes import compared, scores_after
from stream.pipeline.metrics import Metrics
from stream.pipeline.ports import Ack, Addressed, ResultStore, Send
from stream.pipeline.timings import Step, Timings
from stream.pipeline.tracing import NOTHING, Trace
from stream.pipeline.track_alerts import TrackAlerts
from stream.pipeline.window_context import WindowContext
from stream.sinks.dead_letter import unscorable_message
from stream.sinks.results import result_message

log = structlog.get_logger(__name__)
Scored = tuple[ScoreRecord, ExplanationRecord]


@dataclass(frozen=True, slots=True)
class ScoringWindow:
    """A closed window that is being scored. From the start of its scoring to its publication it holds one of the worker's window slots."""

    closed: ClosedWindow[Ack]
    context: WindowContext
    task: asyncio.Task[Scored]
    slots: asyncio.Semaphore
    trace: Trace = NOTHING

    async def result(self) -> Scored:
        """Score and explanation. Raises the scorer's errors; cancelling the caller abandons the scoring."""
        try:
            # Shielded: when the caller is cancelled, `abandon` has to know whether the scoring still holds its slot.
            return await asyncio.shield(self.task)
        except asyncio.CancelledError:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Cancel the scoring. If it has succeeded already, give its slot back; otherwise the scoring does that itself."""
        if not self.task.cancel() and not self.task.cancelled() and self.task.exception() is None:
            self.slots.release()

    def release_slot(self) -> None:
        """Give the slot back: the window is published."""
        self.slots.release()


class TrackPublisher:
    """Publishes the windows of a track one after the other, each in four steps.

    1. **Score**: wait until the window is scored, compare it with the windows before it, and evaluate the alert rules.
    2. **Kafka**: write score, explanation and alerts to the result topics.
    3. **Redis**: make the window final. Kafka comes first because the result topics can refill Redis, but not the other way round. A crash
       in between repeats the window, with the same content.
    4. **Acknowledge** the chunks for which this was the last window. Before this step, a crash makes the next worker read them again.

    The order of the windows matters: Redis refuses a window that is older than the track's last final one. If a window overtook another,
    the slower one would be refused for ever.

    Args:
        store: Redis.
        send: Kafka.
        topics: Names of the result topics.
        token: Returns the fencing token in force, once there is one.
        on_fenced: Called when another worker owns the session now.
        before: What the next window of the track is compared with, according to Redis.
        alerts: Evaluates the alert rules.
        timings: Receives the duration of each step.
        metrics: Counts final windows, and windows that cannot be scored.
    """

    def __init__(
        self,
        store: ResultStore,
        send: Send,
        *,
        topics: Topics,
        token: Callable[[], Awaitable[int]],
        on_fenced: Callable[[], None],
        before: TrackScores | None,
        alerts: TrackAlerts,
        timings: Timings,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._send = send
        self._topics = topics
        self._token = token
        self._on_fenced = on_fenced
        self._before = before
        self._alerts = alerts
        self._timings = timings
        self._metrics = metrics
        self._queue: asyncio.Queue[ScoringWindow | tuple[Ack, ...]] = asyncio.Queue()
        self._publishing = False
        self.runner = asyncio.create_task(self._run())
        """The task that publishes; it ends only when it is cancelled or fails."""

    @property
    def pending(self) -> int:
        """Length of the queue: the windows and acknowledgements that wait. The window that is being published is not counted."""
        return self._queue.qsize()

    @property
    def busy(self) -> bool:
        """Whether a window is being published or waits for it."""
        return not self.runner.done() and (self._publishing or not self._queue.empty())

    def publish(self, window: ScoringWindow) -> None:
        """Publish a window once it is scored, after the windows before it."""
        self._queue.put_nowait(window)

    def acknowledge_after(self, acks: tuple[Ack, ...]) -> None:
        """Acknowledge chunks that no further window needs, after the windows before them: they may have been in the last one."""
        self._queue.put_nowait(acks)

    async def drained(self) -> None:
        """Wait until everything is published."""
        await self._queue.join()

    def stop(self) -> None:
        """Drop everything that is not published; its chunks stay unacknowledged and will be read again."""
        self.runner.cancel()
        while not self._queue.empty():
            item = self._queue.get_nowait()
            if isinstance(item, ScoringWindow):
                item.abandon()

    async def _run(self) -> None:
        while True:
            item = await self._queue.get()
            self._publishing = True
            if isinstance(item, ScoringWindow):
                await self._finish(item)
            else:
                _acknowledge(item)
            self._publishing = False
            self._queue.task_done()

    async def _finish(self, window: ScoringWindow) -> None:
        # 1. Score.
        try:
            scored = await window.result()
        except Exception as error:
            window.trace.end()
            await self._reject(window.closed, error)
            return
        try:
            await self._publish(window.closed, scored, window.context.contributed, window.trace)
        finally:
            window.trace.end()
            window.release_slot()

    async def _publish(self, closed: ClosedWindow[Ack], scored: Scored, contribution: ContextFeatures | None, trace: Trace) -> None:
        began = time.perf_counter()
        score, explanation = scored[0], compared(*scored, self._before)
        self._before = scores_after(score, explanation) or self._before
        alerts = self._alerts.of(score, explanation)
        # 2. Kafka.
        raised = () if alerts is None else alerts.records
        with trace.step("publish to Kafka"):
            await self._send(
                _traced(self._topics.scores, score, trace),
                _traced(self._topics.explanations, explanation, trace),
                *(_traced(self._topics.alerts, alert, trace) for alert in raised),
            )
        # 3. Redis. A window that was final already is a replay: its chunks may go, too.
        with trace.step("make final in Redis"):
            outcome = await self._store.finalise(score, explanation, await self._token(), contribution, alerts)
        trace.note(outcome=str(outcome), model_version=score.model.version, alerts=len(raised))
        if outcome is FinaliseOutcome.FENCED:
            self._on_fenced()
            return
        if outcome is FinaliseOutcome.ACCEPTED:
            self._alerts.count(alerts)
        # 4. Acknowledge.
        _acknowledge(closed.acks)
        if outcome is FinaliseOutcome.ACCEPTED:
            self._metrics.count_final(score)
        self._timings.add(Step.PUBLISH, (time.perf_counter() - began) * 1000)
        if closed.window.media_end_at_ms is not None:
            self._timings.add(Step.TOTAL, time.time() * 1000 - closed.window.media_end_at_ms)

    async def _reject(self, closed: ClosedWindow[Ack], error: Exception) -> None:
        """Put a window that the model refuses into the dead letters: repeating it would not help, and would hold up later windows."""
        window = closed.window
        self._metrics.dead_letters.labels("unscorable").inc()
        log.error("window_unscorable", error=type(error).__name__, epoch=window.epoch, end_ms=window.end_ms)
        await self._send((self._topics.dead_letters, *unscorable_message(window, type(error).__name__)))
        _acknowledge(closed.acks)


def _traced(topic: str, record: ScoreRecord | ExplanationRecord | AlertRecord, trace: Trace) -> Addressed:
    """A record for its topic, with the context of its window's trace."""
    key, value, headers = result_message(record)
    return topic, key, value, headers + trace.headers


def _acknowledge(acks: tuple[Ack, ...]) -> None:
    for acknowledge in acks:
        acknowledge()
