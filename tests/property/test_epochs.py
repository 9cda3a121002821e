"""A session whose media clock begins anew, read in any order that Kafka allows, by workers that die anywhere."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.domain.delivery import InboundRecord
from tests.fakes.chunks import ZERO_MS
from tests.fakes.world import FakeWorker
from tests.support.restarts import end, expected, talk, windows

PAUSE_MS = 1000
"""The producer is away for so long at least."""

Seconds = st.integers(12, 18)


def in_some_order(records: list[InboundRecord], random: Random) -> list[InboundRecord]:
    """The order of each topic is kept."""
    topics: dict[str, deque[InboundRecord]] = defaultdict(deque)
    for record in sorted(records, key=lambda record: record.offset):
        topics[record.topic].append(record)
    ordered = []
    while topics:
        topic = random.choice(sorted(topics))
        for _ in range(min(random.choice((1, 3, 20)), len(topics[topic]))):
            ordered.append(topics[topic].popleft())
        if not topics[topic]:
            del topics[topic]
    return ordered


async def play(runs: list[tuple[int, int, bool]], deaths: list[float], random: Random) -> list[tuple[int, int, float]]:
    """Windows of runs (seconds, pause before, with an end), read by one more worker than there are deaths (parts of what is left)."""
    worker, began_ms, records = FakeWorker(), 0, list[InboundRecord]()
    for seconds, pause_ms, ends in runs:
        began_ms += pause_ms
        records += talk(worker, seconds, began_ms)
        if ends:
            records.append(worker.event(end(seconds), at_ms=ZERO_MS + began_ms + seconds * 1000))
        began_ms += seconds * 1000
    first, worker = worker, FakeWorker(store=worker.store)
    for part in [*deaths, 1.0]:
        left = in_some_order([record for record in records if (record.topic, record.offset) not in first.acknowledged], random)
        await worker.feed(*left[: round(part * len(left))])
        if part < 1.0:
            worker.pipeline.stop()
            worker = FakeWorker(store=first.store)
    await worker.listen(4000 * len(runs) + 4000)
    assert not worker.reasons()
    assert not worker.sent[worker.topics.late]
    return windows(worker)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(Seconds, st.integers(PAUSE_MS, 100_000), st.booleans()), min_size=2, max_size=3),
    st.lists(st.floats(0, 0.95), max_size=2),
    st.randoms(use_true_random=False),
)
def test_every_chunk_is_in_the_epoch_of_its_media_clock(runs: list[tuple[int, int, bool]], deaths: list[float], random: Random) -> None:
    assert asyncio.run(play(runs, deaths, random)) == expected(*(seconds for seconds, _, _ in runs))
