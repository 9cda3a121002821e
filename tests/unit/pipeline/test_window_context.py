"""What windows hear of earlier ones: the same whoever reads them, and never a reason to wait for ever."""

from __future__ import annotations

from itertools import chain

import pytest

from stream.config.settings import LimitSettings, Settings
from stream.domain.identity import TrackKey
from stream.domain.session_events import SessionStart
from tests.fakes.chunks import header
from tests.fakes.processing_context import FakeScorer, FakeStore, FakeWorker
from tests.support.dialogues import END, ENDS, SECONDS, START, TRACKS, expected, second

SESSION = header(0).session


def heard(store: FakeStore) -> dict[tuple[str, int], str]:
    return {(e.track, e.end_ms): e.sentence for track in TRACKS for e in store.explanations[TrackKey(SESSION, track)]}


async def test_every_window_hears_the_newest_that_ended_before_it() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *chain.from_iterable(second(worker, seq) for seq in range(SECONDS)), worker.event(END))
    assert heard(worker.store) == expected()
    assert expected()["customer", 8000] == "customer@4000:4 agent@4000:2"
    assert not worker.failures


@pytest.mark.parametrize("crash_after", range(5, 29, 4))
async def test_a_worker_that_takes_over_hears_the_same(crash_after: int) -> None:
    first = FakeWorker()
    records = [first.event(START), *chain.from_iterable(second(first, seq) for seq in range(SECONDS)), first.event(END)]
    await first.feed(*records[:crash_after])
    first.router.stop()
    next_one = FakeWorker(store=first.store)
    await next_one.feed(*(r for r in records if (r.topic, r.offset) not in first.acknowledged))
    assert heard(first.store) == expected()


async def test_the_other_track_may_be_read_much_later() -> None:
    worker = FakeWorker()
    seconds = [second(worker, seq) for seq in range(SECONDS)]
    await worker.feed(worker.event(START), *(customer for _, customer in seconds))
    assert {end for track, end in heard(worker.store) if track == "customer"} == {4000, 6000}
    await worker.feed(*(agent for agent, _ in seconds), worker.event(END))
    assert heard(worker.store) == expected()


async def test_a_track_that_is_quiet_holds_nobody_up() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(SECONDS)))
    await worker.listen(2000)
    assert [end for track, end in heard(worker.store)] == [end for end in ENDS if end <= SECONDS * 1000]


async def test_one_window_at_a_time_is_enough() -> None:
    settings = Settings(limits=LimitSettings(windows_in_flight=1))
    worker = FakeWorker(settings=settings, scorer=FakeScorer(delays=dict.fromkeys(ENDS, 0.01)))
    await worker.feed(worker.event(START), *chain.from_iterable(second(worker, seq) for seq in range(SECONDS)), worker.event(END))
    await worker.settle(1.0)
    assert heard(worker.store) == expected()


async def test_a_window_that_the_model_refuses_leaves_nothing_and_holds_nobody_up() -> None:
    worker = FakeWorker(scorer=FakeScorer(refused={4000}))
    await worker.feed(worker.event(START), *chain.from_iterable(second(worker, seq) for seq in range(SECONDS)), worker.event(END))
    assert worker.reasons() == ["unscorable", "unscorable"]
    assert heard(worker.store)["customer", 8000] == ""
    assert heard(worker.store)["customer", 10_000] == "customer@6000:4 agent@6000:2"


async def test_an_epoch_hears_nothing_of_the_one_before() -> None:
    worker = FakeWorker()
    for epoch in (0, 1):
        await worker.feed(worker.event(SessionStart(epoch, START.tracks[1:])), *(worker.words(seq, epoch=epoch) for seq in range(SECONDS)))
    await worker.listen(4000)
    sentences = [e.sentence for e in worker.store.explanations[header(0).track] if e.epoch == 1 and e.end_ms <= 8000]
    assert sentences == ["", "", "customer@4000:4"]


async def test_a_look_at_an_open_window_waits_for_nothing() -> None:
    worker = FakeWorker()
    for seq in range(7):
        await worker.feed(worker.words(seq))
    assert [p.end_ms for p in worker.store.partials][-1] == 8000
