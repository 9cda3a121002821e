"""Sends a session's records to Kafka: kafka-python, synchronous, one thread per session."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from kafka import KafkaProducer

from stream.config.settings import KafkaSettings
from stream.domain.media_format import MAX_CHUNK_BYTES
from stream.domain.modality import Modality
from stream.domain.session_events import KeyedSessionEvent, SessionEvent
from stream.domain.topics import Topics
from stream.domain.wire import Headers, chunk_headers, session_record
from stream.kafka_admin.connection import CONNECT_TIMEOUT_MS, broker_errors, kafka_options
from stream.kafka_admin.errors import BrokerError
from stream.produce.pacer import Pacer
from stream.produce.prepare import PreparedSession
from stream.produce.session import Planned, PlannedChunk, SessionPlan, Tally, plan_records

DELIVERY_TIMEOUT_MS = 30_000
MAX_IN_FLIGHT = 64
"""Records sent and not yet acknowledged; more are waited for, so that memory stays bounded."""


@dataclass(frozen=True, slots=True)
class SendProgress:
    """How far a session is; `duration_ms` is None when the file does not say."""

    media_ms: int
    duration_ms: int | None
    chunks: int


@dataclass(frozen=True, slots=True)
class ProducedSession:
    """What was sent.

    Attributes:
        plan: The session.
        media_ms: Media time of its end.
        chunks: Chunks sent by modality.
        stopped: It was ended before the recording was.
        damaged: Some of the file could not be decoded.
        seconds: Wall time it took.
    """

    plan: SessionPlan
    media_ms: int
    chunks: dict[Modality, int]
    stopped: bool
    damaged: bool
    seconds: float


class RecordSender:
    """A Kafka producer with a bounded number of unacknowledged records; a context manager.

    Keys are hashed by kafka-python's default partitioner (murmur2, as Java's); acks=all and idempotence keep records in order.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        """Connect. Raises `BrokerError`."""
        self._kafka = kafka
        self._pending: deque[Any] = deque()
        with broker_errors(kafka):
            self._producer = KafkaProducer(
                **kafka_options(kafka),
                acks="all",
                linger_ms=5,
                max_request_size=MAX_CHUNK_BYTES + 100_000,
                max_block_ms=CONNECT_TIMEOUT_MS,
                delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
                request_timeout_ms=10_000,
            )

    def send(self, topic: str, key: bytes, value: bytes, headers: Headers) -> None:
        """Hand a record over; waits while too many are unacknowledged. Raises `BrokerError`, also for an earlier record."""
        with broker_errors(self._kafka):
            self._pending.append(self._producer.send(topic, key=key, value=value, headers=headers))
            while len(self._pending) > MAX_IN_FLIGHT or (self._pending and self._pending[0].is_done):
                self._pending.popleft().get(timeout=DELIVERY_TIMEOUT_MS / 1000)

    def flush(self) -> None:
        """Wait until every record is acknowledged. Raises `BrokerError`."""
        with broker_errors(self._kafka):
            self._producer.flush(timeout=DELIVERY_TIMEOUT_MS / 1000)
            while self._pending:
                self._pending.popleft().get(timeout=DELIVERY_TIMEOUT_MS / 1000)

    def __enter__(self) -> RecordSender:
        """The sender."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the connection; what is not acknowledged is waited for only after success."""
        self._producer.close(timeout=None if kind is None else 0)


def produce_session(
    kafka: KafkaSettings,
    session: PreparedSession,
    *,
    speed: float | None = 1.0,
    stop: threading.Event | None = None,
    on_progress: Callable[[SendProgress], None] | None = None,
) -> ProducedSession:
    """Send one session; returns when its end is acknowledged. Meant to run in a thread of its own.

    Args:
        kafka: The broker; the topics exist (`ensure_topics`).
        session: What to send.
        speed: 1.0 = live pace, None = as fast as possible.
        stop: Ends the session early and properly when set.
        on_progress: Called in this thread after each record.

    Raises:
        BrokerError: The broker is away.
        SourceError: Nothing in the file can be decoded.
        TranscriptError: The transcript cannot be sent.
    """
    stop = stop or threading.Event()
    began = time.monotonic()
    with session.pieces() as media, RecordSender(kafka) as sender:
        planned = plan_records(session.plan, media)
        first = next(planned, None)
        run = _Run(kafka, session, sender, Pacer(speed, session.duration_ms, stop.wait), on_progress)
        run.announce(session.plan.start())
        try:
            while first is not None and run.send(first):
                first = next(planned, None)
        except BrokerError:
            raise
        except BaseException:
            with suppress(BrokerError):
                run.finish()
            raise
        run.finish()
        return ProducedSession(
            session.plan, run.tally.media_ms, run.tally.by_modality(), first is not None, media.damaged, time.monotonic() - began
        )


class _Run:
    """One session on its way."""

    def __init__(
        self,
        kafka: KafkaSettings,
        session: PreparedSession,
        sender: RecordSender,
        pacer: Pacer,
        on_progress: Callable[[SendProgress], None] | None,
    ) -> None:
        self.tally = Tally(session.plan)
        self._plan = session.plan
        self._duration_ms = session.duration_ms
        self._topics = Topics(kafka.topic_prefix)
        self._sender = sender
        self._pacer = pacer
        self._on_progress = on_progress

    def send(self, planned: Planned) -> bool:
        """Send one record when it is due; False when told to stop before."""
        if not self._pacer.wait_until(planned.due_ms):
            return False
        if isinstance(planned, PlannedChunk):
            header = planned.header(self._plan, self._pacer.captured_ms(planned.due_ms))
            key = str(self._plan.key).encode("ascii")
            self._sender.send(self._topics.chunks(planned.modality), key, planned.payload, chunk_headers(header))
        else:
            self.announce(planned.event(self._plan), planned.due_ms)
        self.tally.add(planned)
        if self._on_progress is not None:
            self._on_progress(SendProgress(self.tally.media_ms, self._duration_ms, self.tally.chunks.total()))
        return True

    def announce(self, event: SessionEvent, media_ms: int = 0) -> None:
        """Send a record of the sessions topic."""
        notice = KeyedSessionEvent(self._plan.key, event)
        self._sender.send(self._topics.sessions, *session_record(notice, self._plan.source, self._pacer.captured_ms(media_ms)))

    def finish(self) -> None:
        """Send the session's end and wait until everything is acknowledged."""
        self.announce(self.tally.end(), self.tally.media_ms)
        self._sender.flush()
