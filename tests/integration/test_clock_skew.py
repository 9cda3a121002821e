"""Clock skews on a real Redis: a worker that takes over continues with the same estimates."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import cast

import pytest
from pydantic import SecretStr

from stream.config.service_settings import RedisSettings
from stream.domain.delivery import InboundRecord
from stream.domain.identity import SessionKey
from stream.domain.modality import Modality
from stream.domain.result import ScoreRecord
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.sinks.redis_sink import RedisSink
from tests.fakes.processing_context import FakeStore, FakeWorker

SECONDS, WINDOWS = 30, 15
MODALITIES = (Modality.AUDIO, Modality.VIDEO)
START = SessionStart(0, (TrackPlan("customer", "customer", MODALITIES),))
END = SessionEnd(0, SECONDS * 1000, (TrackEnd("customer", dict.fromkeys(MODALITIES, SECONDS)),))


@pytest.fixture
async def sink(redis_url: str) -> AsyncIterator[RedisSink]:
    sink = RedisSink(RedisSettings(url=SecretStr(redis_url)))
    yield sink
    await sink.close()


def worker_with(sink: RedisSink) -> FakeWorker:
    return FakeWorker(store=cast(FakeStore, sink))


def session_records(worker: FakeWorker, session: str) -> list[InboundRecord]:
    """The records of a session whose picture falls behind its sound. Capture times jitter."""
    chunks = [
        worker.media(seq, m, seq * 37 % 50 + (170 + 3 * seq if m is Modality.VIDEO else 0), session=session)
        for seq in range(SECONDS)
        for m in MODALITIES
    ]
    return [worker.event(START, session), *chunks]


async def finals(sink: RedisSink, session: str, count: int) -> list[ScoreRecord]:
    async with asyncio.timeout(20):
        while len(found := await sink.finals(SessionKey("acme", session))) < count:
            await asyncio.sleep(0.02)
    return found


@pytest.mark.parametrize("crash_after", [7, 20, 41])
async def test_a_takeover_changes_no_estimate(sink: RedisSink, crash_after: int) -> None:
    whole, cut = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("whole", "cut"))
    worker = worker_with(sink)
    await worker.feed(*session_records(worker, whole), worker.event(END, whole))
    expected = [(s.end_ms, s.sync, s.media_end_at_ms) for s in await finals(sink, whole, WINDOWS)]

    first, second = worker_with(sink), worker_with(sink)
    records = session_records(first, cut)
    await first.feed(*records[:crash_after])
    await finals(sink, cut, max(0, (crash_after - 10) // 4))
    await first.settle(0.1)
    first.router.stop()
    await second.feed(*(r for r in records if (r.topic, r.offset) not in first.acknowledged), second.event(END, cut))
    assert [(s.end_ms, s.sync, s.media_end_at_ms) for s in await finals(sink, cut, WINDOWS)] == expected
    assert len({s[Modality.VIDEO].offset_ms for _, s, _ in expected}) > 10
