"""The change of a window is the same whichever worker publishes it, and also if the window is published twice."""

from __future__ import annotations

from itertools import chain

import pytest

from stream.domain.context import ContextFeatures
from stream.domain.delivery import FinaliseOutcome, InboundRecord, WindowAlerts
from stream.domain.modality import Modality
from stream.domain.result import Change, ExplanationRecord, ScoreRecord
from tests.fakes.chunks import header
from tests.fakes.processing_context import FakeStore, FakeWorker
from tests.support.dialogues import END, SECONDS, START, second

TRACK = header(0).track


def records(worker: FakeWorker) -> list[InboundRecord]:
    return [worker.event(START), *chain.from_iterable(second(worker, seq) for seq in range(SECONDS)), worker.event(END)]


async def whole() -> FakeWorker:
    worker = FakeWorker()
    await worker.feed(*records(worker))
    return worker


def published(*workers: FakeWorker) -> set[bytes]:
    return {value for worker in workers for _, value, _ in worker.sent[worker.topics.explanations]}


async def test_windows_are_compared_with_those_before_them() -> None:
    changes = [explanation.change for explanation in (await whole()).store.explanations[TRACK]]
    assert changes[0].since_previous is None
    assert changes[1].since_previous == Change(4000, 0.0, {Modality.TEXT: 0.0, Modality.AUDIO: 0.0, Modality.VIDEO: 0.0}, 0.0)
    last = changes[-1]
    assert last.since_previous is not None
    assert last.since_start is not None
    assert (last.since_previous.from_ms, last.since_start.from_ms, last.since_start.score) == (14_000, 4000, -2.0)


@pytest.mark.parametrize("crash_after", range(5, 29, 4))
async def test_a_worker_that_takes_over_publishes_the_same_changes(crash_after: int) -> None:
    expected, first = await whole(), FakeWorker()
    sent = records(first)
    await first.feed(*sent[:crash_after])
    first.router.stop()
    successor = FakeWorker(store=first.store)
    await successor.feed(*(r for r in sent if (r.topic, r.offset) not in first.acknowledged))
    assert first.store.explanations == expected.store.explanations
    # What scores know of other tracks comes from the context, which is the same, too.
    assert first.store.scores == expected.store.scores
    assert any(score.conversation is not None for score in expected.store.scores[TRACK])
    assert published(first, successor) == published(expected)


class ForgetfulStore(FakeStore):
    """Redis is gone when the window that ends at 8 s is to be made final."""

    async def finalise(
        self,
        score: ScoreRecord,
        explanation: ExplanationRecord,
        token: int,
        contribution: ContextFeatures | None = None,
        alerts: WindowAlerts | None = None,
    ) -> FinaliseOutcome:
        if score.end_ms == 8000:
            raise ConnectionError("gone")
        return await super().finalise(score, explanation, token, contribution, alerts)


async def test_a_window_that_is_published_twice_has_the_same_change_twice() -> None:
    expected, first = await whole(), FakeWorker(store=ForgetfulStore())
    sent = records(first)
    await first.feed(*sent)
    first.router.stop()
    assert first.failures
    known = FakeStore(first.store.scores, first.store.explanations, first.store.contributions, tokens=first.store.tokens)
    successor = FakeWorker(store=known)
    await successor.feed(*(r for r in sent if (r.topic, r.offset) not in first.acknowledged))
    assert len(first.sent[first.topics.explanations]) + len(successor.sent[successor.topics.explanations]) > len(published(expected))
    assert published(first, successor) == published(expected)
