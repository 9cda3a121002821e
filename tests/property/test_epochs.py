"""A session whose media clock starts again, read in any order that Kafka allows, by workers that crash at any time."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.domain.delivery import InboundRecord
from tests.fakes.chunks import MEDIA_START_AT_MS
from tests.fakes.processing_context import FakeWorker
from tests.support.restarts import end, expected, run_records, windows

PAUSE_MS = 1000
"""Shortest time for which the producer is away."""

Seconds = st.integers(12, 18)


def in_random_order(records: list[InboundRecord], random: Random) -> list[InboundRecord]:
    """A random order that keeps the order of each topic."""
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


async def play(epochs: list[tuple[int, int, bool]], crashes: list[float], random: Random) -> list[tuple[int, int, float | None]]:
    """Play a session to a worker, and to another worker after each crash.

    Args:
        epochs: For each epoch its length (s), the pause before it (ms) and whether it has an end.
        crashes: For each crash the fraction of the remaining records that had been read.
        random: Decides the order of the records.

    Returns:
        The final windows, as `tests.support.restarts.expected` has them.
    """
    worker, began_ms, records = FakeWorker(), 0, list[InboundRecord]()
    for seconds, pause_ms, ends in epochs:
        began_ms += pause_ms
        records += run_records(worker, seconds, began_ms)
        if ends:
            records.append(worker.event(end(seconds), at_ms=MEDIA_START_AT_MS + began_ms + seconds * 1000))
        began_ms += seconds * 1000
    first, worker = worker, FakeWorker(store=worker.store)
    for fraction in [*crashes, 1.0]:
        left = in_random_order([record for record in records if (record.topic, record.offset) not in first.acknowledged], random)
        await worker.feed(*left[: round(fraction * len(left))])
        if fraction < 1.0:
            worker.router.stop()
            worker = FakeWorker(store=first.store)
    await worker.advance(4000 * len(epochs) + 4000)
    assert not worker.reasons()
    assert not worker.sent[worker.topics.late]
    return windows(worker)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(Seconds, st.integers(PAUSE_MS, 100_000), st.booleans()), min_size=2, max_size=3),
    st.lists(st.floats(0, 0.95), max_size=2),
    st.randoms(use_true_random=False),
)
def test_every_chunk_is_in_the_epoch_of_its_media_clock(epochs: list[tuple[int, int, bool]], crashes: list[float], random: Random) -> None:
    assert asyncio.run(play(epochs, crashes, random)) == expected(*(seconds for seconds, _, _ in epochs))
