"""Refills Redis from the result topics, by the rules that workers publish by."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from stream.config.settings import KafkaSettings
from stream.domain.delivery import FinaliseOutcome
from stream.domain.epoch import EpochAssignment
from stream.domain.identity import SessionKey
from stream.domain.topics import Topics
from stream.kafka_admin.connection import broker_errors, kafka_options
from stream.sinks.history import Final, History
from stream.sinks.redis_sink import RedisSink

POLL_MS = 400
"""The embedded broker reports end offsets up to a batch too low, so a topic is read until nothing comes for so long."""
BEYOND_END_S = 2.0
"""Reading goes on so long beyond the ends that were found at the start, should workers keep on writing."""
STALLED_S = 30.0

OnProgress = Callable[[int, int], None]
"""Told how much is done, and of how much."""


class RebuildError(Exception):
    """The result topics cannot be read; the message is one sentence that says what to do."""


@dataclass(slots=True)
class RebuildReport:
    """What a refill did.

    Attributes:
        sessions: Sessions that were gone through.
        refilled: Windows that were put back.
        present: Windows that were there already.
        overtaken: Windows that are older than what a worker has published since; a stream grows at its end only.
        summaries: Summaries that were put back, or were there already.
        unexplained: Scores without explanation: never final, the worker that takes over publishes them.
        repeated: Records that came again with the same content.
        conflicts: Ids that came again with other content; the first was taken.
        unreadable: Records that are no results.
    """

    sessions: int = 0
    refilled: int = 0
    present: int = 0
    overtaken: int = 0
    summaries: int = 0
    unexplained: int = 0
    repeated: int = 0
    conflicts: tuple[str, ...] = field(default=())
    unreadable: int = 0


async def read_history(
    kafka: KafkaSettings, finals_per_track: int, session: SessionKey | None = None, on_progress: OnProgress = lambda _done, _all: None
) -> History:
    """Everything in the result topics, or what belongs to one session. Raises `RebuildError` or `BrokerError`."""
    history, cancelled = History(finals_per_track), threading.Event()
    try:
        await asyncio.to_thread(_read, kafka, history, session, on_progress, cancelled)
    finally:
        cancelled.set()
    return history


async def refill(
    history: History, store: RedisSink, since_ms: int = 0, on_progress: OnProgress = lambda _done, _all: None
) -> RebuildReport:
    """Put the sessions that have a result since then back into Redis, track by track in order; what is there already stays.

    What windows left for later ones is in no result topic and stays lost: later windows of a session that goes on do not hear them.
    """
    report = RebuildReport(repeated=history.repeated, conflicts=tuple(history.conflicts), unreadable=history.unreadable)
    sessions = history.sessions(since_ms)
    for number, session in enumerate(sessions):
        on_progress(number, len(sessions))
        restored: set[EpochAssignment] = set()
        for track in history.tracks(session):
            report.unexplained += history.unexplained(track)
            for final in history.finals(track):
                if final[0].run is not None and final[0].run not in restored:
                    await store.restore_assignment(session, final[0].run)
                    restored.add(final[0].run)
                await _put(store, session, final, report)
        summary = history.summary(session)
        if summary is not None:
            await store.put_summary(summary)
            report.summaries += 1
        report.sessions += 1
    on_progress(len(sessions), len(sessions))
    return report


async def _put(store: RedisSink, session: SessionKey, final: Final, report: RebuildReport) -> None:
    """Finalise under the session's own token: it fences nobody off, and is refused only if a new owner came in that very moment."""
    verdict = FinaliseOutcome.FENCED
    while verdict is FinaliseOutcome.FENCED:
        verdict = await store.finalise(*final, await store.token(session))
    if verdict is FinaliseOutcome.ACCEPTED:
        report.refilled += 1
    elif await store.holds(final[0]):
        report.present += 1
    else:
        report.overtaken += 1


def _read(kafka: KafkaSettings, history: History, session: SessionKey | None, on_progress: OnProgress, cancelled: threading.Event) -> None:
    topics = Topics(kafka.topic_prefix)
    wanted = None if session is None else str(session).encode("ascii")
    with broker_errors(kafka), closing(KafkaConsumer(**kafka_options(kafka), enable_auto_commit=False)) as consumer:
        partitions = _partitions(consumer, (topics.scores, topics.explanations, topics.summaries))
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        starts, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        everything = sum(ends[p] - starts[p] for p in partitions)
        moved = time.monotonic()
        reached: float | None = None
        while not cancelled.is_set():
            polled = consumer.poll(timeout_ms=POLL_MS)
            for records in polled.values():
                for record in records:
                    if wanted is None or record.key == wanted:
                        history.add(record.value, record.timestamp)
            now = time.monotonic()
            moved = now if polled else moved
            behind = sum(max(0, ends[p] - consumer.position(p)) for p in partitions)
            on_progress(everything - behind, everything)
            if behind == 0:
                reached = reached or now
                if not polled or now - reached > BEYOND_END_S:
                    return
            elif now - moved > STALLED_S:
                raise RebuildError(
                    f"Kafka at {kafka.bootstrap} has sent nothing for {STALLED_S:g} s with {behind} records to go; try again"
                )


def _partitions(consumer: Any, topics: tuple[str, ...]) -> list[Any]:
    found = {topic: sorted(consumer.partitions_for_topic(topic) or ()) for topic in topics}
    missing = [topic for topic, numbers in found.items() if not numbers]
    if missing:
        raise RebuildError(
            f"Kafka has no topic {', '.join(missing)}: there is nothing to refill Redis from; check kafka.bootstrap and kafka.topic_prefix"
        )
    return [TopicPartition(topic, number) for topic, numbers in found.items() for number in numbers]
