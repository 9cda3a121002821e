"""Scores the windows of one track concurrently, and passes them on to be published in order."""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog
from msgspec.structs import replace

from stream.aio.outage import ServiceError
from stream.align.outcome import ClosedWindow
from stream.domain.context import ContextWindow
from stream.domain.conversation import conversation_of
from stream.domain.epoch import EpochAssignment
from stream.domain.window import Window
from stream.pipeline.model_pin import EpochModel
from stream.pipeline.ports import Ack, ResultStore, Scorer
from stream.pipeline.publisher import Scored, ScoringWindow, TrackPublisher
from stream.pipeline.timings import Step, Timings
from stream.pipeline.tracing import NOTHING, Trace
from stream.pipeline.window_context import ContextStore, WindowContext

log = structlog.get_logger(__name__)


class TrackScoring:
    """Scores the windows of a track.

    Windows are scored concurrently, as soon as their epoch may publish; the publisher puts them back in order.

    Args:
        scorer: Scores a window; waits out outages.
        store: Redis, for partial results.
        publisher: Publishes the scored windows in the order in which they were passed to `score`.
        slots: Bounds the windows that are being scored or published on this worker.
        may_publish: Set once no earlier epoch of the session can publish any more.
        assignment: The epoch's assignment, where workers gave it its number; it is written into the scores.
        context_store: The contributions of the epoch's windows to later windows.
        model: The version of the model that scores the epoch.
        timings: Receives the duration of each step.
    """

    def __init__(
        self,
        scorer: Scorer,
        store: ResultStore,
        publisher: TrackPublisher,
        *,
        slots: asyncio.Semaphore,
        may_publish: asyncio.Event,
        assignment: EpochAssignment | None,
        context_store: ContextStore,
        model: EpochModel,
        timings: Timings,
    ) -> None:
        self.publisher = publisher
        """Publishes the track's windows."""
        self._scorer = scorer
        self._store = store
        self._slots = slots
        self._may_publish = may_publish
        self._assignment = assignment
        self._context_store = context_store
        self._model = model
        self._timings = timings
        self._partial: asyncio.Task[None] | None = None
        self._ahead: asyncio.Task[None] | None = None

    def score(self, closed: ClosedWindow[Ack], trace: Trace = NOTHING) -> None:
        """Score a window and pass it on. All windows of its context must have been passed to `score` before."""
        context = self._context_store.context_of(closed.window)
        task = asyncio.create_task(self._score(closed.window, context, trace))
        self.publisher.publish(ScoringWindow(closed, context, task, self._slots, trace))
        if closed.window.media_end_at_ms is not None:
            self._timings.add(Step.ALIGN, time.time() * 1000 - closed.window.media_end_at_ms)

    async def _score(self, window: Window, context: WindowContext, trace: Trace) -> Scored:
        with trace.step("wait"):
            await self._may_publish.wait()
            version = await self._model.version()
            await self._slots.acquire()
        try:
            with trace.step("score"):
                score, explanation = await self._scorer.final(window, context, version)
            own = ContextWindow(window.track.track, window.start_ms, window.end_ms)
            conversation = conversation_of(own, await context.features())
            return replace(score, run=self._assignment, conversation=conversation), explanation
        except BaseException as error:
            self._slots.release()
            if isinstance(error, Exception):
                context.contribute_nothing()
            raise

    def publish_partial(self, window: Window) -> None:
        """Score an open window and write it to Redis only.

        It is skipped while the partial result before it is still being scored: a partial result may be left out, a final one never.
        """
        if self._partial is None or self._partial.done():
            self._partial = asyncio.create_task(self._publish_partial(window, self._context_store.context_of(window)))

    async def _publish_partial(self, window: Window, context: WindowContext) -> None:
        try:
            await self._store.put_partial(await self._scorer.partial(window, context, await self._model.version()))
        except ServiceError as error:
            # The final window will wait for the service, and say so once. Each partial result that is left out until then is no news.
            log.debug("partial_left_out", reason=error.code)
        except Exception as error:
            log.warning("partial_failed", error=type(error).__name__)

    def encode_ahead(self, window: Window) -> None:
        """Have the words of an open window encoded, so that it need not wait for that once it is closed.

        Does nothing where windows queue: they wait for other things anyway, and what is encoded now might be forgotten by then.
        """
        is_queued = self._slots.locked() or not self._may_publish.is_set()
        if not is_queued and (self._ahead is None or self._ahead.done()):
            self._ahead = asyncio.create_task(self._encode_ahead(window, self._context_store.context_of(window)))

    async def _encode_ahead(self, window: Window, context: WindowContext) -> None:
        # If it fails, the final window asks for itself, and says what is wrong.
        with contextlib.suppress(Exception):
            await self._scorer.encode_words(window, context)

    def stop(self) -> None:
        """Drop every window that is not published; their chunks stay unacknowledged and will be read again."""
        self.publisher.stop()
        for task in (self._partial, self._ahead):
            if task is not None:
                task.cancel()
