"""The logic of the fault runs: which windows must be published, when they are due, and in which order the faults come."""

from __future__ import annotations

import itertools
from collections import Counter

from benchmarks.fault_runs.faults import Fault, schedule
from benchmarks.fault_runs.traffic import Session
from benchmarks.fault_runs.verdict import Content, wrong_windows
from stream.domain.identity import SessionKey
from stream.domain.modality import Modality
from tests.fakes.processing_context import FakeWorker
from tests.support.delivery import END, SECONDS, START


def session_with(*words: list[str]) -> Session:
    return Session(SessionKey("acme", "call-1"), (Modality.TEXT,), words=list(words))


async def test_the_oracle_and_the_pipeline_agree_on_a_session_without_faults() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(SECONDS)), worker.event(END))
    published = {final.end_ms: final.score for finals in worker.store.scores.values() for final in finals}
    assert published == {end: len(words) for end, words in session_with(*[["word"]] * SECONDS).expected().items()}


def test_windows_hold_the_words_of_their_seconds() -> None:
    session = session_with(["a"], [], ["b", "c"], [], ["d"])
    assert session.expected() == {4000: ("a", "b", "c"), 6000: ("b", "c", "d"), 8000: ("d",)}


def test_a_window_is_due_once_the_broker_has_confirmed_the_chunks_that_close_it() -> None:
    session = session_with()
    session.confirmed = [(second + 1.0, second * 1000 + 1000) for second in range(7)]
    assert [session.due_ms(now, patience_s=0.5) for now in (4.6, 5.4, 5.6, 7.6)] == [0, 0, 4000, 6000]


def test_a_window_is_wrong_when_its_content_differs_from_the_run_without_faults() -> None:
    right = {4000: Content(0.5, ("a", "b")), 6000: Content(-1.25)}
    assert wrong_windows(right, right) == []
    assert wrong_windows({4000: Content(0.5001, ("a", "b"))}, right) == []
    assert wrong_windows({4000: Content(0.5, ("a",)), 6000: Content(-1.25)}, right) == [4000]
    assert wrong_windows({4000: Content(0.5003, ("a", "b")), 6000: Content(-1.0)}, right) == [4000, 6000]
    assert wrong_windows({8000: Content(0.5)}, right) == [8000]


def test_every_fault_is_drawn_before_any_fault_is_drawn_again() -> None:
    runs = list(itertools.islice(schedule(3, 3, triton=True), 11))
    drawn = list(itertools.chain.from_iterable(runs))
    assert len(drawn) == 33
    assert set(Counter(drawn).values()) == {3}
    assert set(drawn) == set(Fault)
    assert runs == list(itertools.islice(schedule(3, 3, triton=True), 11))
    assert Fault.TRITON not in itertools.chain.from_iterable(itertools.islice(schedule(3, 3, triton=False), 20))
