"""An epoch keeps the version of the model that its first window was scored by, on every worker."""

from __future__ import annotations

import asyncio
import re

import pytest
import structlog
from structlog.testing import LogCapture

from stream.domain.chunk import Chunk
from stream.domain.delivery import InboundRecord
from stream.domain.features import Features
from stream.domain.identity import SessionKey
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.pipeline import model_pin
from tests.fakes.chunks import header
from tests.fakes.processing_context import FakeEncoder, FakeScorer, FakeStore, FakeWorker
from tests.support.restarts import TEXT

TRACK = header(0).track
START = SessionStart(0, (TrackPlan("customer", "customer", (TEXT,)),))


def end(seconds: int) -> SessionEnd:
    return SessionEnd(0, seconds * 1000, (TrackEnd("customer", {TEXT: seconds}),))


def versions(store: FakeStore) -> list[str]:
    return [score.model.version for score in store.scores[TRACK]]


def begun(worker: FakeWorker, session: str) -> list[InboundRecord]:
    return [worker.event(START, session=session), *(worker.words(seq, session=session) for seq in range(5))]


async def test_the_default_version_scores_where_none_was_promoted() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(6)), worker.event(end(6)))
    assert versions(worker.store) == ["1", "1", "1"]
    assert [(partial.model.version) for partial in worker.store.partials][:1] == ["1"]


async def test_a_promotion_does_not_change_the_version_of_an_epoch_that_has_begun() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(5)))
    assert versions(worker.store) == ["1"]
    worker.store.promoted = "2"
    await worker.feed(worker.words(5), worker.event(end(6)))
    assert versions(worker.store) == ["1", "1", "1"]
    await worker.feed(*begun(worker, "call-2"))
    (second,) = (scores for track, scores in worker.store.scores.items() if track.session.session == "call-2")
    assert [score.model.version for score in second] == ["2"]


async def test_a_worker_that_takes_over_scores_with_the_version_of_the_epoch() -> None:
    first = FakeWorker()
    await first.feed(first.event(START), *(first.words(seq) for seq in range(5)))
    first.router.stop()
    first.store.promoted = "2"
    successor = FakeWorker(store=first.store)
    records = [successor.event(START), *(successor.words(seq) for seq in range(6)), successor.event(end(6))]
    await successor.feed(*records)
    assert versions(first.store) == ["1", "1", "1"]


class AskingEncoder(FakeEncoder):
    """Asks for the version of the epoch before it encodes, as the encoder of sound does."""

    async def encode(self, chunk: Chunk) -> Features:
        assert self.model_version is not None
        ENCODED_FOR.append(await self.model_version())
        return await super().encode(chunk)


ENCODED_FOR: list[str] = []


async def test_chunks_are_encoded_for_the_version_that_scores_them_also_on_a_worker_that_takes_over() -> None:
    ENCODED_FOR.clear()
    first = FakeWorker(new_encoder=AskingEncoder)
    await first.feed(first.event(START), first.words(0))
    assert first.store.scores == {}, "pinned before any window is scored"
    first.router.stop()
    first.store.promoted = "2"
    successor = FakeWorker(store=first.store, new_encoder=AskingEncoder)
    await successor.feed(successor.event(START), *(successor.words(seq) for seq in range(6)), successor.event(end(6)))
    assert versions(first.store) == ["1", "1", "1"]
    assert ENCODED_FOR == ["1"] * 7


async def test_no_window_is_scored_before_its_version_is_pinned() -> None:
    class SlowStore(FakeStore):
        gate = asyncio.Event()

        async def pin_version(self, session: SessionKey, epoch: int, version: str) -> str:
            await self.gate.wait()
            return await super().pin_version(session, epoch, version)

    store = SlowStore()
    worker = FakeWorker(store=store)
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(6)), worker.event(end(6)))
    assert (versions(store), store.partials) == ([], [])
    store.gate.set()
    await worker.settle()
    assert versions(store) == ["1", "1", "1"]


async def test_an_error_while_pinning_stops_the_worker_and_no_window_counts_as_refused() -> None:
    class BrokenStore(FakeStore):
        async def pin_version(self, session: SessionKey, epoch: int, version: str) -> str:
            raise ValueError("unexpected")

    worker = FakeWorker(store=BrokenStore())
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(6)))
    assert [type(failure) for failure in worker.failures] == [ValueError]
    assert (worker.reasons(), versions(worker.store)) == ([], [])
    worker.router.stop()


async def test_open_epochs_are_counted_by_version_and_a_promotion_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # A logger of its own: a command that ran before in this process may have set a level above this line's.
    log = LogCapture()
    monkeypatch.setattr(model_pin, "log", structlog.wrap_logger(None, processors=[log], wrapper_class=structlog.BoundLogger))
    worker = FakeWorker(scorer=FakeScorer())
    await worker.feed(*begun(worker, "call-1"))
    worker.store.promoted = "2"
    for session in ("call-2", "call-3"):
        await worker.feed(*begun(worker, session))
    assert open_epochs(worker) == {"1": 1.0, "2": 2.0}
    in_force = [(line["before"], line["version"]) for line in log.entries if line["event"] == "model_in_force"]
    assert in_force == [(None, "1"), ("1", "2")]
    worker.router.stop()
    assert open_epochs(worker) == {"1": 0.0, "2": 0.0}


def open_epochs(worker: FakeWorker) -> dict[str, float]:
    found = re.findall(r'^sentistream_open_epochs\{version="(\d+)"\} (.+)$', worker.context.metrics.text().decode(), re.MULTILINE)
    return {version: float(count) for version, count in found}
