"""The context of windows is the same whichever worker processes them, and no window waits for it for ever."""

from __future__ import annotations

from itertools import chain

import pytest
from msgspec import structs

from stream.config.settings import Settings
from stream.config.worker_settings import LimitSettings
from stream.domain.context import ContextFeatures
from stream.domain.features import TextFeatures, Word
from stream.domain.identity import TrackKey
from stream.domain.session_events import SessionStart
from stream.pipeline.window_context import ContextStore
from tests.fakes.chunks import header
from tests.fakes.processing_context import FakeScorer, FakeStore, FakeWorker
from tests.fakes.windows import make_window
from tests.support.dialogues import END, ENDS, SECONDS, START, TRACKS, expected, second

SESSION = header(0).session


def contexts(store: FakeStore) -> dict[tuple[str, int], str]:
    """By track and end of a window, the windows of its context."""
    return {(e.track, e.end_ms): " ".join(e.counterfactual or ()) for track in TRACKS for e in store.explanations[TrackKey(SESSION, track)]}


async def test_the_context_of_a_window_is_the_newest_windows_that_ended_before_it() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *chain.from_iterable(second(worker, seq) for seq in range(SECONDS)), worker.event(END))
    assert contexts(worker.store) == expected()
    assert expected()["customer", 8000] == "customer@4000:4 agent@4000:2"
    assert not worker.failures


@pytest.mark.parametrize("crash_after", range(5, 29, 4))
async def test_a_worker_that_takes_over_gives_windows_the_same_context(crash_after: int) -> None:
    first = FakeWorker()
    records = [first.event(START), *chain.from_iterable(second(first, seq) for seq in range(SECONDS)), first.event(END)]
    await first.feed(*records[:crash_after])
    first.router.stop()
    second_worker = FakeWorker(store=first.store)
    await second_worker.feed(*(r for r in records if (r.topic, r.offset) not in first.acknowledged))
    assert contexts(first.store) == expected()


async def test_the_other_track_may_be_read_much_later() -> None:
    worker = FakeWorker()
    seconds = [second(worker, seq) for seq in range(SECONDS)]
    await worker.feed(worker.event(START), *(customer for _, customer in seconds))
    assert {end for track, end in contexts(worker.store) if track == "customer"} == {4000, 6000}
    await worker.feed(*(agent for agent, _ in seconds), worker.event(END))
    assert contexts(worker.store) == expected()


async def test_a_quiet_track_holds_up_no_other_track() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(SECONDS)))
    await worker.advance(2000)
    assert [end for track, end in contexts(worker.store)] == [end for end in ENDS if end <= SECONDS * 1000]


async def test_a_single_window_slot_is_enough() -> None:
    settings = Settings(limits=LimitSettings(windows_in_flight=1))
    worker = FakeWorker(settings=settings, scorer=FakeScorer(delays=dict.fromkeys(ENDS, 0.01)))
    await worker.feed(worker.event(START), *chain.from_iterable(second(worker, seq) for seq in range(SECONDS)), worker.event(END))
    await worker.settle(1.0)
    assert contexts(worker.store) == expected()


async def test_a_window_that_the_model_refuses_contributes_nothing_and_holds_up_no_window() -> None:
    worker = FakeWorker(scorer=FakeScorer(refused={4000}))
    await worker.feed(worker.event(START), *chain.from_iterable(second(worker, seq) for seq in range(SECONDS)), worker.event(END))
    assert worker.reasons() == ["unscorable", "unscorable"]
    assert contexts(worker.store)["customer", 8000] == ""
    assert contexts(worker.store)["customer", 10_000] == "customer@6000:4 agent@6000:2"


async def test_windows_of_an_earlier_epoch_are_no_context() -> None:
    worker = FakeWorker()
    for epoch in (0, 1):
        await worker.feed(worker.event(SessionStart(epoch, START.tracks[1:])), *(worker.words(seq, epoch=epoch) for seq in range(SECONDS)))
    await worker.advance(4000)
    seen = [e.counterfactual for e in worker.store.explanations[header(0).track] if e.epoch == 1 and e.end_ms <= 8000]
    assert seen == [(), (), ("customer@4000:4",)]


async def test_a_partial_result_waits_for_nothing() -> None:
    worker = FakeWorker()
    for seq in range(7):
        await worker.feed(worker.words(seq))
    assert [p.end_ms for p in worker.store.partials][-1] == 8000


async def test_a_word_that_one_window_may_not_show_is_shown_by_none_that_overlaps_it() -> None:
    said = [Word(text, 4000 + 100 * n, 4080 + 100 * n) for n, text in enumerate(["my", "name", "is", "zebulon", "and", "i", "wait"])]
    first = structs.replace(make_window(), text=(TextFeatures(tuple(said[:4])),))
    second = structs.replace(first, text=(TextFeatures(tuple(said[3:])),), start_ms=4250, end_ms=5250)
    apart = structs.replace(second, start_ms=5000, end_ms=6000)
    contexts = ContextStore()
    hidden = ((4300, 4380, "[name]"),)
    assert contexts.context_of(first).redacted == hidden
    assert contexts.context_of(second).redacted == hidden
    successor = ContextStore()
    successor.add([ContextFeatures("customer", 0, first.end_ms, {}, first.start_ms, redacted=hidden)])
    assert successor.context_of(second).redacted == hidden, "a worker that takes over knows it, too"
    assert ContextStore().context_of(apart).redacted == ()
