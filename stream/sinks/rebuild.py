"""Refills Redis from the result topics, by the rules by which workers publish.

Every window goes through the same Lua script as in a worker. So a refill may run beside live workers: it neither fences them off nor
replaces a window that is there.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from stream.config.service_settings import KafkaSettings
from stream.domain.delivery import FinaliseOutcome, WindowAlerts
from stream.domain.epoch import EpochAssignment
from stream.domain.identity import SessionKey
from stream.domain.topics import Topics
from stream.kafka_admin.connection import broker_errors, consumer_options
from stream.kafka_admin.erasures import read_erasures
from stream.rules.evaluate import RuleSet, TrackRules, encode_track_rules
from stream.sinks.history import Final, History
from stream.sinks.redis_sink import RedisSink

POLL_MS = 400
"""The embedded broker reports end offsets that are up to a batch too low. So a topic counts as read when none has come for this long."""

BEYOND_END_S = 2.0
"""Longest time to read beyond the end offsets of the start: workers that keep writing must not prevent the refill from ending."""

STALLED_S = 30.0
"""A broker that sends nothing for this long, although records are left, counts as failed. A restart or a new leader takes less."""

OnProgress = Callable[[int, int], None]
"""Receives the number of items that are done and the number of all items."""


class RebuildError(Exception):
    """The result topics cannot be read; the message is one sentence that says what to do."""


@dataclass(slots=True)
class RebuildReport:
    """Result of a refill.

    Attributes:
        sessions: Sessions that were processed.
        refilled: Windows that were restored.
        present: Windows that were in Redis already.
        overtaken: Windows that cannot be restored, because a worker has published a later window of their track: a stream only grows at its
            end.
        alerts: Alerts of the restored windows.
        summaries: Summaries that were restored, or were in Redis already.
        unexplained: Scores without explanation. They were never final: the worker that takes over publishes them again.
        repeated: Records that repeat an earlier record with the same content.
        conflicts: Ids of records that repeat an earlier record with different content; the first was taken.
        unreadable: Records that are not results.
        erased: Sessions that were erased, and so are not restored.
    """

    sessions: int = 0
    refilled: int = 0
    present: int = 0
    overtaken: int = 0
    alerts: int = 0
    summaries: int = 0
    unexplained: int = 0
    repeated: int = 0
    conflicts: tuple[str, ...] = field(default=())
    unreadable: int = 0
    erased: int = 0


async def read_history(
    kafka: KafkaSettings, finals_per_track: int, session: SessionKey | None = None, on_progress: OnProgress = lambda _done, _all: None
) -> History:
    """All records of the result topics, or only the records of one session. Raises `RebuildError` or `BrokerError`."""
    history, cancelled = History(finals_per_track), threading.Event()
    try:
        history.erased = await asyncio.to_thread(_erased, kafka)
        await asyncio.to_thread(_read, kafka, history, session, on_progress, cancelled)
    finally:
        cancelled.set()
    return history


async def refill(
    history: History,
    store: RedisSink,
    since_ms: int = 0,
    on_progress: OnProgress = lambda _done, _all: None,
    *,
    rules: RuleSet | None = None,
) -> RebuildReport:
    """Restore the sessions that have a result since then, track by track in order; windows that are in Redis stay.

    Alerts come from their topic. The state of the rules is in no topic: it is computed again from the windows, so that a rule that is
    raised is not raised once more by the next worker.

    Contributions to the context of later windows are in no result topic, so they are lost. In a running session, the restored windows
    are missing from the context of later windows.
    """
    report = RebuildReport(repeated=history.repeated, conflicts=tuple(history.conflicts), unreadable=history.unreadable)
    sessions = history.sessions(since_ms)
    for number, session in enumerate(sessions):
        on_progress(number, len(sessions))
        if session in history.erased:
            await store.mark_erased(session, history.erased[session])
            report.erased += 1
            continue
        restored: set[EpochAssignment] = set()
        for track in history.tracks(session):
            report.unexplained += history.unexplained(track)
            state: TrackRules | None = None
            for final in history.finals(track):
                if final[0].run is not None and final[0].run not in restored:
                    await store.restore_assignment(session, final[0].run)
                    restored.add(final[0].run)
                state = None if rules is None else rules.evaluate(state, *final).state
                alerts = WindowAlerts(history.alerts(final[0]), b"" if state is None else encode_track_rules(state))
                await _put(store, session, final, alerts, report)
        summary = history.summary(session)
        if summary is not None:
            await store.put_summary(summary)
            report.summaries += 1
        report.sessions += 1
    on_progress(len(sessions), len(sessions))
    return report


async def _put(store: RedisSink, session: SessionKey, final: Final, alerts: WindowAlerts, report: RebuildReport) -> None:
    """Make a window final under the highest token that the session has seen: this fences off no worker.

    If a new owner with a higher token comes just between reading the token and using it, the window is refused, and tried again.
    """
    outcome = FinaliseOutcome.FENCED
    while outcome is FinaliseOutcome.FENCED:
        outcome = await store.finalise(*final, await store.token(session), alerts=alerts)
    if outcome is FinaliseOutcome.ACCEPTED:
        report.refilled += 1
        report.alerts += len(alerts.records)
    elif await store.holds(final[0]):
        report.present += 1
    else:
        report.overtaken += 1


def _erased(kafka: KafkaSettings) -> dict[SessionKey, int]:
    return {session: erasure.at_ms for session, erasure in read_erasures(kafka).items()}


def _read(kafka: KafkaSettings, history: History, session: SessionKey | None, on_progress: OnProgress, cancelled: threading.Event) -> None:
    topics = Topics(kafka.topic_prefix)
    wanted = None if session is None else str(session).encode("ascii")
    with broker_errors(kafka), closing(KafkaConsumer(**consumer_options(kafka))) as consumer:
        partitions = _partitions(consumer, (topics.scores, topics.explanations, topics.summaries), optional=(topics.alerts,))
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        starts, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        total = sum(ends[p] - starts[p] for p in partitions)
        received_at = time.monotonic()
        reached_end_at: float | None = None
        while not cancelled.is_set():
            polled = consumer.poll(timeout_ms=POLL_MS)
            for records in polled.values():
                for record in records:
                    if wanted is None or record.key == wanted:
                        history.add(record.value, record.timestamp)
            now = time.monotonic()
            received_at = now if polled else received_at
            behind = sum(max(0, ends[p] - consumer.position(p)) for p in partitions)
            on_progress(total - behind, total)
            if behind == 0:
                reached_end_at = reached_end_at or now
                if not polled or now - reached_end_at > BEYOND_END_S:
                    return
            elif now - received_at > STALLED_S:
                raise RebuildError(
                    f"Kafka at {kafka.bootstrap} has sent nothing for {STALLED_S:g} s, although {behind} records are left; try again"
                )


def _partitions(consumer: Any, topics: tuple[str, ...], optional: tuple[str, ...]) -> list[Any]:
    """All partitions of the topics. Optional topics may be missing: workers of earlier releases did not write them."""
    by_topic = {topic: sorted(consumer.partitions_for_topic(topic) or ()) for topic in (*topics, *optional)}
    missing = [topic for topic in topics if not by_topic[topic]]
    if missing:
        raise RebuildError(
            f"Kafka has no topic {', '.join(missing)}: there is nothing to refill Redis from; check kafka.bootstrap and kafka.topic_prefix"
        )
    return [TopicPartition(topic, number) for topic, numbers in by_topic.items() for number in numbers]
