"""A worker that drains publishes its closed windows and takes in nothing more."""

from __future__ import annotations

import asyncio
import time

from stream.domain.chunk import Chunk
from stream.domain.context import ContextFeatures
from stream.domain.delivery import FinaliseOutcome, WindowAlerts
from stream.domain.features import Features
from stream.domain.modality import Modality
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from tests.fakes.chunks import header
from tests.fakes.processing_context import FakeEncoder, FakeScorer, FakeStore, FakeWorker

TRACK = header(0).track
START = SessionStart(0, (TrackPlan("customer", "customer", (Modality.TEXT,)),))


def end(chunks: int) -> SessionEnd:
    return SessionEnd(0, chunks * 1000, (TrackEnd("customer", {Modality.TEXT: chunks}),))


def ends(worker: FakeWorker) -> list[int]:
    return [score.end_ms for score in worker.store.scores[TRACK]]


def offsets(worker: FakeWorker) -> list[int]:
    return sorted(offset for _, offset in worker.acknowledged)


async def test_closed_windows_are_published_and_acknowledged() -> None:
    worker = FakeWorker(scorer=FakeScorer(delays={4000: 0.1, 6000: 0.15}))
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(7)))
    assert ends(worker) == []
    assert await worker.router.drain(5)
    assert ends(worker) == [4000, 6000]
    assert offsets(worker) == [0, 1, 2, 3]


async def test_a_drain_waits_for_a_window_that_is_being_written_to_redis() -> None:
    class SlowStore(FakeStore):
        async def finalise(
            self,
            score: ScoreRecord,
            explanation: ExplanationRecord,
            token: int,
            contribution: ContextFeatures | None = None,
            alerts: WindowAlerts | None = None,
        ) -> FinaliseOutcome:
            await asyncio.sleep(0.1)
            return await super().finalise(score, explanation, token, contribution, alerts)

    worker = FakeWorker(store=SlowStore())
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(5)))
    assert ends(worker) == []
    assert await worker.router.drain(5)
    assert ends(worker) == [4000]


async def test_the_summary_of_an_ended_session_is_written() -> None:
    worker = FakeWorker(scorer=FakeScorer(delays={8000: 0.1}))
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(6)), worker.event(end(6)))
    assert worker.store.summaries == []
    assert await worker.router.drain(5)
    assert [summary.windows for summary in worker.store.summaries] == [3]
    assert len(worker.acknowledged) == 8


async def test_nothing_more_is_taken_in_and_no_window_closes() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(3)))
    assert await worker.router.drain(5)
    waiting = asyncio.create_task(worker.router.on_record(worker.words(3)))
    worker.now = 1_000_000
    worker.router.on_time(worker.now)
    await worker.settle()
    assert not waiting.done()
    assert ends(worker) == []
    assert worker.acknowledged == []
    waiting.cancel()


async def test_a_chunk_that_is_still_being_encoded_closes_no_window() -> None:
    class SlowEncoder(FakeEncoder):
        async def encode(self, chunk: Chunk) -> Features:
            await asyncio.sleep(0.05 if chunk.header.seq == 4 else 0)
            return await super().encode(chunk)

    worker = FakeWorker(new_encoder=SlowEncoder)
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(5)))
    assert await worker.router.drain(5)
    await worker.settle(0.1)
    assert ends(worker) == []
    assert not worker.failures


async def test_a_drain_that_takes_too_long_is_cut_short_and_the_next_worker_publishes_everything() -> None:
    first = FakeWorker(scorer=FakeScorer(delays={4000: 60}))
    records = [first.event(START), *(first.words(seq) for seq in range(6)), first.event(end(6))]
    await first.feed(*records)
    began = time.monotonic()
    assert not await first.router.drain(0.1)
    assert time.monotonic() - began < 1
    first.router.stop()
    assert first.acknowledged == []
    second = FakeWorker(store=first.store)
    await second.feed(*records)
    assert ends(second) == [4000, 6000, 8000]


async def test_a_fenced_session_does_not_hold_up_the_drain() -> None:
    store = FakeStore()
    worker = FakeWorker(store=store, scorer=FakeScorer(delays={4000: 0.5}))
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(7)))
    store.tokens[TRACK.session] = 99
    assert await worker.router.drain(5)
    assert ends(worker) == []
    assert worker.acknowledged == []
