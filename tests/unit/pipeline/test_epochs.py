"""A media clock that starts again gets an epoch of its own, whichever worker reads the records, in any order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec
import pytest

from stream.config.settings import Settings
from stream.config.worker_settings import LimitSettings
from stream.domain.context import ContextFeatures
from stream.domain.delivery import FinaliseOutcome, InboundRecord, WindowAlerts
from stream.domain.epoch import EpochAssignment
from stream.domain.identity import SessionKey
from stream.domain.result import ExplanationRecord, ScoreRecord, SessionRecord
from tests.fakes.chunks import MEDIA_START_AT_MS
from tests.fakes.processing_context import FakeStore, FakeWorker
from tests.support.restarts import AUDIO, TEXT, TRACK, end, expected, run_records, start, windows

LATER_MS = 40_000
"""How much later the second run of the media clock began."""
LONG, SHORT = 16, 9
"""Lengths of the first and the second run, in seconds."""


def two_runs(worker: FakeWorker, *, first_ends: bool = False) -> list[InboundRecord]:
    """A session whose producer was restarted: the media clock starts again, and the declared epoch stays."""
    records = run_records(worker, LONG)
    records += [worker.event(end(LONG), at_ms=MEDIA_START_AT_MS + LONG * 1000)] if first_ends else []
    records += run_records(worker, SHORT, LATER_MS)
    return [*records, worker.event(end(SHORT), at_ms=MEDIA_START_AT_MS + LATER_MS + SHORT * 1000)]


def by_topic(records: list[InboundRecord], first: str) -> list[InboundRecord]:
    """The records one topic after the other, as a worker may read them after a takeover."""
    return sorted(records, key=lambda record: (record.topic != first, record.topic, record.offset))


@pytest.mark.parametrize("first_ends", [False, True])
async def test_a_media_clock_that_starts_again_gets_an_epoch_of_its_own(first_ends: bool) -> None:
    worker = FakeWorker()
    await worker.feed(*two_runs(worker, first_ends=first_ends))
    await worker.advance(4000)
    assert windows(worker) == expected(LONG, SHORT)
    assert [(s.epoch, s.windows) for s in worker.store.summaries] == [(0, 8), (1, 5)]
    assert worker.store.assignments[TRACK.session] == [EpochAssignment(1, 0, MEDIA_START_AT_MS + LATER_MS)]
    assert {score.run for score in worker.store.scores[TRACK]} == {None, EpochAssignment(1, 0, MEDIA_START_AT_MS + LATER_MS)}
    assert len(worker.acknowledged) == len(set(worker.acknowledged)) == 2 * (LONG + SHORT) + 3 + first_ends
    assert worker.router.open_epochs == 0
    assert not worker.reasons()
    assert not worker.sent[worker.topics.late]


async def test_a_session_id_that_is_used_again_gets_a_new_epoch() -> None:
    worker = FakeWorker()
    await worker.feed(*run_records(worker, LONG), worker.event(end(LONG), at_ms=MEDIA_START_AT_MS + LONG * 1000))
    assert worker.router.open_epochs == 0
    await worker.feed(*run_records(worker, SHORT, LATER_MS), worker.event(end(SHORT), at_ms=MEDIA_START_AT_MS + LATER_MS + SHORT * 1000))
    await worker.advance(4000)
    assert windows(worker) == expected(LONG, SHORT)
    assert worker.router.open_epochs == 0
    await worker.feed(*(worker.words(seq) for seq in range(LONG)), *(worker.words(seq, later_ms=LATER_MS) for seq in range(SHORT)))
    await worker.advance(4000)
    assert windows(worker) == expected(LONG, SHORT)
    assert not worker.reasons()


async def test_a_call_on_hold_stays_in_its_epoch() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(start(0, TEXT)), *(worker.words(seq, later_ms=0 if seq < 20 else 600_000) for seq in range(40)))
    await worker.feed(worker.event(end(40, TEXT), at_ms=MEDIA_START_AT_MS + 640_000))
    assert windows(worker) == expected(40)
    assert not worker.store.assignments[TRACK.session]


async def test_a_call_on_hold_stays_in_the_epoch_that_it_was_given() -> None:
    worker = FakeWorker()
    await worker.feed(*run_records(worker, LONG), *run_records(worker, 6, LATER_MS))
    for seq in range(6, 12):
        await worker.feed(worker.words(seq, later_ms=LATER_MS + 600_000), worker.media(seq, AUDIO, LATER_MS + 600_000))
    await worker.advance(4000)
    assert windows(worker) == expected(LONG, 12)


async def test_a_repeated_start_begins_no_epoch() -> None:
    worker = FakeWorker()
    records = run_records(worker, LONG)
    again = worker.event(start(), at_ms=MEDIA_START_AT_MS + 12_000)
    await worker.feed(*records[:20], records[0], again, *records[20:], worker.event(end(LONG), at_ms=MEDIA_START_AT_MS + LONG * 1000))
    await worker.advance(1000)
    assert windows(worker) == expected(LONG)
    assert not worker.store.assignments[TRACK.session]


async def test_chunks_of_the_earlier_epoch_are_taken_in_until_it_is_over() -> None:
    worker = FakeWorker()
    old, new = run_records(worker, LONG), run_records(worker, SHORT, LATER_MS)
    await worker.feed(*old[:-4], *new[:5])
    await worker.feed(*old[-4:], *new[5:])
    await worker.advance(4000)
    assert windows(worker)[: len(expected(LONG))] == expected(LONG)
    await worker.feed(worker.words(LONG))
    assert worker.reasons() == ["old_epoch"]


async def test_a_declared_epoch_after_a_restart_gets_the_next_number() -> None:
    worker = FakeWorker()
    await worker.feed(*run_records(worker, LONG), *run_records(worker, SHORT, LATER_MS), *run_records(worker, 6, 2 * LATER_MS, epoch=1))
    await worker.advance(4000)
    assert windows(worker) == expected(LONG, SHORT, 6)
    assert worker.store.assignments[TRACK.session] == [EpochAssignment(1, 0, MEDIA_START_AT_MS + LATER_MS), EpochAssignment(2, 1, 0)]


async def test_a_media_clock_may_start_again_several_times() -> None:
    worker = FakeWorker()
    await worker.feed(*(record for run in range(4) for record in run_records(worker, LONG, run * LATER_MS)))
    await worker.advance(4000)
    assert windows(worker) == expected(*[LONG] * 4)
    assert not worker.reasons()


async def test_a_restart_in_an_earlier_epoch_goes_to_the_dead_letters() -> None:
    worker = FakeWorker()
    await worker.feed(*run_records(worker, LONG), worker.words(0, epoch=1, later_ms=LATER_MS), worker.words(0, later_ms=LATER_MS))
    assert worker.reasons() == ["restarted"]


async def taken_over(first: FakeWorker, records: list[InboundRecord], read: int, order: str, *, live: bool) -> FakeWorker:
    """Let the first worker die after ``read`` records; return the second, which reads the rest one topic after the other."""
    step = 2 if live else len(records)
    for at in range(0, read, step):
        await first.feed(*records[at : min(at + step, read)])
        if live:
            await first.advance(1000)
    second = FakeWorker(store=first.store)
    left = [record for record in records if (record.topic, record.offset) not in first.acknowledged]
    await second.feed(*by_topic(left, order))
    await second.advance(8000)
    assert not second.reasons()
    assert not second.sent[second.topics.late]
    return second


@pytest.mark.parametrize("topic", ["chunks.text", "chunks.audio", "sessions"])
@pytest.mark.parametrize("first_ends", [False, True])
async def test_wherever_a_worker_dies_every_chunk_is_in_the_same_epoch(topic: str, first_ends: bool) -> None:
    whole = FakeWorker()
    await whole.feed(*two_runs(whole, first_ends=first_ends))
    await whole.advance(8000)
    for read in (*range(2 * LONG - 2, 2 * LONG + 12), 2 * (LONG + SHORT) + 2):
        first = FakeWorker()
        second = await taken_over(first, two_runs(first, first_ends=first_ends), read, topic, live=False)
        assert windows(second) == expected(LONG, SHORT), f"died after {read} records"
        assert second.store.scores == whole.store.scores
        assert {(s.epoch, s.windows) for s in second.store.summaries} == {(0, 8), (1, 5)}


@pytest.mark.parametrize("read", [2 * LONG, 2 * LONG + 4, 2 * LONG + 8, 2 * LONG + 14])
async def test_a_worker_that_dies_while_it_is_caught_up_changes_no_window(read: int) -> None:
    first = FakeWorker()
    second = await taken_over(first, two_runs(first), read, "chunks.audio", live=True)
    assert windows(second) == expected(LONG, SHORT)


async def test_the_new_epoch_is_not_published_before_the_rest_of_the_old_epoch_has_been_read() -> None:
    first = FakeWorker()
    audio = [first.media(seq, AUDIO, 0) for seq in range(LONG)]
    words = [
        first.event(start(0, TEXT), at_ms=MEDIA_START_AT_MS + LATER_MS),
        *(first.words(seq, later_ms=LATER_MS) for seq in range(SHORT)),
    ]
    await first.feed(*audio, *words)
    second = FakeWorker(store=first.store)
    await second.feed(*words, *audio)
    assert not windows(second)
    await second.advance(8000)
    assert [epoch for epoch, _, _ in windows(second)] == [epoch for epoch, _, _ in expected(LONG, SHORT)]
    assert not second.reasons()


async def test_a_long_backlog_of_the_new_epoch_does_not_wait_for_silence() -> None:
    settings = Settings(limits=LimitSettings().model_copy(update={"windows_in_flight": 2}))
    worker = FakeWorker(settings=settings)
    records = [*run_records(worker, LONG), *run_records(worker, 40, LATER_MS)]
    async with asyncio.timeout(20):
        for at in range(0, len(records), 10):
            await worker.feed(*records[at : at + 10])
            worker.router.on_time(None)
    assert windows(worker)[: len(expected(LONG))] == expected(LONG)
    assert windows(worker)[-1][0] == 1


@dataclass
class SlowStore(FakeStore):
    """Writes the summary of epoch 1, and numbers the clocks that declare epoch 1, only when a test lets it."""

    summary: asyncio.Event = field(default_factory=asyncio.Event)
    number: asyncio.Event = field(default_factory=asyncio.Event)

    async def put_summary(self, record: SessionRecord) -> None:
        if record.epoch == 1:
            await self.summary.wait()
        await super().put_summary(record)

    async def begin_epoch(
        self, session: SessionKey, declared: int, media_start_at_ms: int, within_ms: int, after: int
    ) -> tuple[EpochAssignment, ...]:
        if declared == 1:
            await self.number.wait()
        return await super().begin_epoch(session, declared, media_start_at_ms, within_ms, after)


@pytest.mark.parametrize("first", [0, 1], ids=["start", "text"])
async def test_the_last_epoch_may_end_while_the_next_waits_for_its_number(first: int) -> None:
    store = SlowStore()
    worker = FakeWorker(store=store)
    await worker.feed(*two_runs(worker))
    await worker.advance(4000)
    assert [summary.epoch for summary in store.summaries] == [0]
    third = run_records(worker, SHORT, 2 * LATER_MS, epoch=1)
    third.insert(0, third.pop(first))
    waiting = asyncio.create_task(worker.feed(third[0]))
    await worker.settle()
    store.summary.set()
    await worker.settle()
    assert worker.router.open_epochs == 0
    store.number.set()
    await waiting
    assert worker.router.open_epochs == 1
    third.append(worker.event(msgspec.structs.replace(end(SHORT), epoch=1), at_ms=MEDIA_START_AT_MS + 2 * LATER_MS + SHORT * 1000))
    await worker.feed(*third[1:])
    await worker.advance(4000)
    assert windows(worker) == expected(LONG, SHORT, SHORT)
    assert {(record.topic, record.offset) for record in third} <= set(worker.acknowledged)
    assert not worker.reasons()


@dataclass
class StoppedStore(FakeStore):
    """Publishes windows only when a test lets it."""

    publishes: asyncio.Event = field(default_factory=asyncio.Event)

    async def finalise(
        self,
        score: ScoreRecord,
        explanation: ExplanationRecord,
        token: int,
        contribution: ContextFeatures | None = None,
        alerts: WindowAlerts | None = None,
    ) -> FinaliseOutcome:
        await self.publishes.wait()
        return await super().finalise(score, explanation, token, contribution, alerts)


async def test_a_track_may_begin_while_its_epoch_waits_for_its_last_windows() -> None:
    store = StoppedStore()
    worker = FakeWorker(store=store)
    await worker.feed(*run_records(worker, SHORT), worker.event(end(SHORT), at_ms=MEDIA_START_AT_MS + SHORT * 1000))
    late = worker.words(0, track="agent")
    await worker.feed(late)
    store.publishes.set()
    await worker.settle()
    await worker.advance(4000)
    assert not worker.failures
    assert windows(worker) == expected(SHORT)
    assert [(summary.epoch, summary.windows) for summary in store.summaries] == [(0, 5)]
    assert (late.topic, late.offset) in worker.acknowledged
