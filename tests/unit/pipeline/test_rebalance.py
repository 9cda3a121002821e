"""A rebalance and a stop drop records that wait to be taken in. Publishing waits for the new fencing token."""

from __future__ import annotations

import asyncio

from stream.domain.modality import Modality
from stream.domain.session_events import SessionStart, TrackPlan
from tests.fakes.chunks import header
from tests.fakes.processing_context import FakeStore, FakeWorker

TRACK = header(0).track
START = SessionStart(0, (TrackPlan("customer", "customer", (Modality.TEXT,)),))


class SlowStore(FakeStore):
    """Redis gives no token until ``back`` is set."""

    back: asyncio.Event

    async def next_token(self) -> int:
        await self.back.wait()
        return await super().next_token()


def slow_worker() -> tuple[FakeWorker, SlowStore]:
    store = SlowStore()
    store.back = asyncio.Event()
    return FakeWorker(store=store), store


async def test_publishing_waits_for_the_token_and_the_rebalance_does_not() -> None:
    worker, store = slow_worker()
    worker.router.on_assigned()
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(5)))
    assert not store.scores[TRACK]
    store.back.set()
    await worker.settle()
    assert [score.end_ms for score in store.scores[TRACK]] == [4000]
    assert store.tokens[TRACK.session] == 1


async def test_of_two_assignments_only_the_newer_token_is_used() -> None:
    worker, store = slow_worker()
    worker.router.on_assigned()
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(5)))
    store.token = 6
    worker.router.on_assigned()
    store.back.set()
    await worker.settle()
    assert store.tokens[TRACK.session] == 7


async def test_a_record_that_waited_for_room_when_its_partition_was_revoked_is_dropped() -> None:
    worker = FakeWorker()
    worker.router._has_room.clear()
    waiting = asyncio.create_task(worker.router.on_record(worker.words(7)))
    await worker.settle()
    worker.router.on_revoked({0})
    worker.router._has_room.set()
    await waiting
    assert worker.router.open_epochs == 0
    assert worker.acknowledged == []


async def test_a_stopped_router_begins_no_session() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(3)))
    worker.router.stop()
    await worker.feed(*(worker.words(seq) for seq in range(3, 9)))
    assert worker.router.open_epochs == 0
    assert not worker.store.scores[TRACK]
    assert worker.acknowledged == []
