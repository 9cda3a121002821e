"""A worker that does not know that its sessions have a new owner is fenced off, on a real Redis, and takes part again after a rebalance."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from pydantic import SecretStr

from stream.config.service_settings import RedisSettings
from stream.config.settings import Settings
from stream.domain.context import ContextFeatures
from stream.domain.delivery import FinaliseOutcome, InboundRecord, WindowAlerts
from stream.domain.identity import SessionKey
from stream.domain.modality import Modality
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.domain.session_events import SessionEnd, TrackEnd
from stream.local.redis_server import RedisServer
from stream.pipeline import ownership
from stream.sinks.redis_sink import RedisSink
from tests.fakes.processing_context import FakeWorker
from tests.support.delivery import END, EXPECTED, SECONDS, START

PATIENCE_S = 1.0
SETTLE_S = 0.2


class Store(RedisSink):
    """Redis, and its answers to the windows that were to become final."""

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(settings)
        self.outcomes: list[FinaliseOutcome] = []

    async def finalise(
        self,
        score: ScoreRecord,
        explanation: ExplanationRecord,
        token: int,
        contribution: ContextFeatures | None = None,
        alerts: WindowAlerts | None = None,
    ) -> FinaliseOutcome:
        self.outcomes.append(await super().finalise(score, explanation, token, contribution, alerts))
        return self.outcomes[-1]


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[Store]:
    sink = Store(Settings().redis.model_copy(update={"url": SecretStr(server.url)}))
    yield sink
    await sink.close()


class Case:
    """A session whose partition two workers hold: the older worker was frozen for a while."""

    def __init__(self, store: Store) -> None:
        plain = Settings()
        settings = plain.model_copy(update={"kafka": plain.kafka.model_copy(update={"session_timeout_s": PATIENCE_S})})
        self.older, self.newer = [FakeWorker(store=cast(Any, store), settings=settings) for _ in range(2)]
        self.session = f"call-{uuid.uuid4().hex[:8]}"
        self.start = self.older.event(START, self.session)
        self.store = store

    def records(self, *seqs: int) -> list[InboundRecord]:
        return [self.older.words(seq, session=self.session) for seq in seqs]

    async def feed(self, worker: FakeWorker, *records: InboundRecord) -> None:
        await worker.feed(*records)
        await worker.settle(SETTLE_S)

    async def finals(self) -> list[tuple[int, float | None]]:
        return [(final.end_ms, final.score) for final in await self.store.finals(SessionKey("acme", self.session))]

    async def take_over(self) -> None:
        """Both workers have the records. The older worker has made the first window final, the newer worker the second."""
        first, rest = self.records(0, 1, 2, 3, 4), self.records(5, 6)
        self.older.router.on_assigned()
        await self.feed(self.older, self.start, *first)
        self.newer.router.on_assigned()
        await self.feed(self.newer, self.start, *first[2:], *rest)
        assert await self.finals() == [(4000, 4.0), (6000, 4.0)]
        self.older.acknowledged.clear()
        await self.feed(self.older, *rest)


def published(worker: FakeWorker) -> list[int]:
    """Ends (ms) of the windows that a worker has written to the topic of scores."""
    return [int(dict(headers)["ce_id"].rpartition(b"-")[2]) for _, _, headers in worker.sent[worker.topics.scores]]


async def test_a_stale_token_is_refused_and_the_session_is_not_begun_again(store: Store) -> None:
    case = Case(store)
    await case.take_over()
    assert case.store.outcomes == [FinaliseOutcome.ACCEPTED, FinaliseOutcome.ACCEPTED, FinaliseOutcome.FENCED]
    assert published(case.older) == [4000, 6000]
    await case.feed(case.older, *case.records(7, 8, 9, 10, 11, 12))
    assert published(case.older) == [4000, 6000], "a session that begins in the middle has windows that lack chunks"
    assert case.older.acknowledged == []
    assert await case.finals() == [(4000, 4.0), (6000, 4.0)]


async def test_the_new_owner_goes_on_undisturbed(store: Store) -> None:
    case = Case(store)
    await case.take_over()
    end = SessionEnd(0, 8000, (TrackEnd("customer", {Modality.TEXT: 8}),))
    await case.feed(case.newer, *case.records(7), case.older.event(end, case.session))
    assert await case.finals() == [(4000, 4.0), (6000, 4.0), (8000, 4.0), (10_000, 2.0)]
    assert not case.newer.failures


async def test_after_a_rebalance_the_fenced_worker_takes_part_again(store: Store) -> None:
    case = Case(store)
    await case.take_over()
    case.older.router.on_revoked({0})
    case.newer.router.on_revoked({0})
    case.older.router.on_assigned()
    await case.feed(case.older, case.start, *case.records(4, 5, 6, 7, 8))
    assert await case.finals() == [(4000, 4.0), (6000, 4.0), (8000, 4.0)]
    await case.older.settle(PATIENCE_S)
    assert not case.older.failures


async def test_a_fenced_worker_that_kafka_considers_the_owner_joins_again_and_owns_the_session(store: Store) -> None:
    case = Case(store)
    await case.take_over()
    assert case.older.rejoined == 0
    await case.older.settle(PATIENCE_S)
    assert case.older.rejoined == 1
    case.older.router.on_revoked({0})
    case.older.router.on_assigned()
    await case.feed(case.older, case.start, *case.records(4, 5, 6, 7, 8))
    assert await case.finals() == [(4000, 4.0), (6000, 4.0), (8000, 4.0)]
    await case.feed(case.newer, *case.records(7, 8, 9, 10))
    assert case.store.outcomes[-1] is FinaliseOutcome.FENCED
    assert not case.older.failures


async def test_a_session_that_another_worker_really_publishes_is_given_up_and_the_others_go_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example the worker of another consumer group that writes to the same Redis."""
    monkeypatch.setattr(ownership, "REJOIN_EVERY_S", 0.0)
    case = Case(store)
    await case.take_over()
    await case.older.settle(PATIENCE_S)
    for worker in (case.older, case.newer):  # the newer worker has been fenced off in turn, and has joined again last
        worker.router.on_revoked({0})
        worker.router.on_assigned()
        await worker.settle(SETTLE_S)
    rest = case.records(4, 5, 6, 7, 8)
    await case.feed(case.newer, case.start, *rest)
    await case.feed(case.older, case.start, *rest, *case.records(9, 10))
    assert case.store.outcomes[-1] is FinaliseOutcome.FENCED
    await case.older.settle(PATIENCE_S)
    assert case.older.rejoined == 2
    case.older.router.on_revoked({0})
    case.older.router.on_assigned()
    case.older.acknowledged.clear()
    await case.feed(case.older, *rest)
    assert case.older.reasons() == ["fenced_off"] * len(rest)
    assert len(case.older.acknowledged) == len(rest)
    other = f"{case.session}-other"
    words = [case.older.words(seq, session=other) for seq in range(SECONDS)]
    await case.feed(case.older, case.older.event(START, other), *words, case.older.event(END, other))
    assert [(final.end_ms, final.score) for final in await store.finals(SessionKey("acme", other))] == EXPECTED
    assert not case.older.failures
