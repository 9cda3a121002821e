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

from stream.config.service_settings import KafkaSettings
from stream.domain.kafka_records import Headers, chunk_headers, decode_text, session_record
from stream.domain.media_format import MAX_CHUNK_BYTES
from stream.domain.modality import Modality
from stream.domain.session_events import KeyedSessionEvent, SessionEvent
from stream.domain.topics import Topics
from stream.kafka_admin.connection import CONNECT_TIMEOUT_MS, broker_errors, kafka_options
from stream.kafka_admin.errors import BrokerError
from stream.media.transcript.placing import MAX_OVERHANG_MS
from stream.produce.pacer import Pacer, wall_clock_ms
from stream.produce.prepare import PreparedSession
from stream.produce.sent import SentRecording, SentWords, compare
from stream.produce.session import PlannedChunk, PlannedRecord, SentCounts, SessionPlan, plan_records

REQUEST_TIMEOUT_MS = 10_000
"""A broker that is elected anew or under load answers within seconds; later than this the request is sent again."""

DELIVERY_TIMEOUT_MS = 30_000
"""Three requests: enough for the election of a new partition leader. After that the user is told that the broker is away."""

LINGER_MS = 5
"""Collects the chunks of one moment, such as both channels' words and sound, into one request; far below anything a viewer notices."""

REQUEST_OVERHEAD_BYTES = 100_000
"""Room for headers and batching around the largest chunk; the request still stays below Kafka's default limit of 1 MiB."""

MAX_UNACKNOWLEDGED = 64
"""Records that may be sent and not yet acknowledged. `send` waits for more: a slow broker must not fill the memory at `max` speed."""


@dataclass(frozen=True, slots=True)
class SendProgress:
    """How much of a session has been sent; `duration_ms` is None when the file does not state its length."""

    media_ms: int
    duration_ms: int | None
    chunks: int


@dataclass(frozen=True, slots=True)
class ProducedSession:
    """A session that was sent.

    Attributes:
        plan: The session.
        media_ms: Media time of its end.
        chunks: Number of chunks sent, by modality.
        recording: What was sent, compared with what the file and its transcript announce.
        seconds: Wall time that sending took.
    """

    plan: SessionPlan
    media_ms: int
    chunks: dict[Modality, int]
    recording: SentRecording
    seconds: float


class RecordSender:
    """A Kafka producer with a bounded number of unacknowledged records; a context manager.

    kafka-python's default partitioner hashes keys with murmur2, as Java's does: with any other, the records of a session would meet in
    different partitions when several producers share the topics. ``acks="all"`` and kafka-python's default idempotence keep records
    in order and unique through retries.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        """Connect. Raises `BrokerError`."""
        self._kafka = kafka
        self._unacknowledged: deque[Any] = deque()
        with broker_errors(kafka):
            self._producer = KafkaProducer(
                **kafka_options(kafka),
                acks="all",
                linger_ms=LINGER_MS,
                max_request_size=MAX_CHUNK_BYTES + REQUEST_OVERHEAD_BYTES,
                # By default `send` blocks for a minute when the broker is away.
                max_block_ms=CONNECT_TIMEOUT_MS,
                delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
            )

    def send(self, topic: str, key: bytes, value: bytes, headers: Headers) -> None:
        """Hand a record over; waits while too many are unacknowledged. Raises `BrokerError`, also for an earlier record."""
        with broker_errors(self._kafka):
            self._unacknowledged.append(self._producer.send(topic, key=key, value=value, headers=headers))
            # Acknowledged records are taken off at once: an error among them is raised now, not when the session ends.
            while len(self._unacknowledged) > MAX_UNACKNOWLEDGED or (self._unacknowledged and self._unacknowledged[0].is_done):
                self._wait_for_oldest()

    def flush(self) -> None:
        """Wait until every record is acknowledged. Raises `BrokerError`."""
        with broker_errors(self._kafka):
            # kafka-python's flush waits but does not raise the errors of single records.
            self._producer.flush(timeout=DELIVERY_TIMEOUT_MS / 1000)
            while self._unacknowledged:
                self._wait_for_oldest()

    def __enter__(self) -> RecordSender:
        """The sender."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the connection. After an error, unacknowledged records are given up: waiting for them would only delay the message."""
        if kind is None:
            self._producer.close()
        else:
            self.give_up()

    def give_up(self) -> None:
        """Close the connection without waiting for unacknowledged records."""
        self._producer.close(timeout=0)

    def _wait_for_oldest(self) -> None:
        self._unacknowledged.popleft().get(timeout=DELIVERY_TIMEOUT_MS / 1000)


def produce_session(
    kafka: KafkaSettings,
    session: PreparedSession,
    *,
    speed: float | None = 1.0,
    stop: threading.Event | None = None,
    on_progress: Callable[[SendProgress], None] | None = None,
    now_ms: Callable[[], int] = wall_clock_ms,
) -> ProducedSession:
    """Send one session; returns when its end is acknowledged. Blocking: run it in a thread of its own.

    Args:
        kafka: The broker; its topics exist (`ensure_topics`).
        session: The session to send.
        speed: 1.0 = live pace, None = as fast as possible.
        stop: When set, ends the session early, with an end record.
        on_progress: Called in this thread after each record.
        now_ms: Wall clock (Unix ms) from which capture times are made.

    Raises:
        BrokerError: The broker is away.
        SourceError: Nothing in the file can be decoded.
        TranscriptError: The transcript cannot be sent.
    """
    stop = stop or threading.Event()
    began = time.monotonic()
    with session.pieces() as pieces, RecordSender(kafka) as sender:
        records = plan_records(session.plan, pieces)
        # The first record is made before the session starts: a file that cannot be decoded must not open an empty session.
        record = next(records, None)
        run = _SessionSender(kafka, session, sender, Pacer(speed, session.duration_ms, stop.wait, now_ms), on_progress)
        run.send_event(session.plan.start())
        try:
            while record is not None and run.send(record):
                record = next(records, None)
        except BrokerError:
            raise
        except BaseException:
            # Without an end record the session would stay open until the worker's idle time-out.
            with suppress(BrokerError):
                run.finish()
            raise
        run.finish()
        recording = compare(
            session=session.plan.key.session,
            media=session.name,
            stopped=record is not None,
            report=pieces.report,
            numbers=session.numbers,
            left_out=session.left_out,
            words=run.sent_words(session.unrouted_words, cut_off=pieces.report.damaged or record is not None),
            quality=session.quality,
            bytes_per_minute=run.sent.bytes_per_minute(),
            notices=session.notices,
        )
        return ProducedSession(session.plan, run.sent.media_ms, run.sent.by_modality(), recording, time.monotonic() - began)


class _SessionSender:
    """Sends the records of one session when they are due and counts them."""

    def __init__(
        self,
        kafka: KafkaSettings,
        session: PreparedSession,
        sender: RecordSender,
        pacer: Pacer,
        on_progress: Callable[[SendProgress], None] | None,
    ) -> None:
        self.sent = SentCounts(session.plan)
        self._plan = session.plan
        self._duration_ms = session.duration_ms
        self._topics = Topics(kafka.topic_prefix)
        self._sender = sender
        self._pacer = pacer
        self._on_progress = on_progress
        self._words = 0
        self._media_end_ms: int | None = None
        self._withdrawal = session.plan.withdrawal()

    def send(self, record: PlannedRecord) -> bool:
        """Send one record when it is due. Returns False, and sends nothing, when told to stop first."""
        if not self._pacer.wait_until(record.due_ms):
            return False
        if self._withdrawal is not None and record.due_ms > self._withdrawal.media_ms:
            self.send_event(self._withdrawal, self._withdrawal.media_ms)
            self._withdrawal = None
        if isinstance(record, PlannedChunk):
            header = record.header(self._plan, self._pacer.captured_ms(record.due_ms))
            key = str(self._plan.key).encode("ascii")
            self._sender.send(self._topics.chunks(record.modality), key, record.payload, chunk_headers(header))
            if record.modality is Modality.TEXT:
                self._words += len(decode_text(record.payload).words)
            else:
                self._media_end_ms = record.due_ms
        else:
            self.send_event(record.event(self._plan), record.due_ms)
        self.sent.add(record)
        if self._on_progress is not None:
            self._on_progress(SendProgress(self.sent.media_ms, self._duration_ms, self.sent.chunks.total()))
        return True

    def send_event(self, event: SessionEvent, media_ms: int = 0) -> None:
        """Send a record of the sessions topic."""
        keyed_event = KeyedSessionEvent(self._plan.key, event)
        self._sender.send(self._topics.sessions, *session_record(keyed_event, self._plan.source, self._pacer.captured_ms(media_ms)))

    def sent_words(self, unrouted: int, *, cut_off: bool) -> SentWords | None:
        """How many words were sent, beside those that belong to no track; None if the session has no words at all.

        Args:
            unrouted: Number of words that belong to no track.
            cut_off: The recording was not sent to its end. If it was, words may overhang it a little: the times of cues are approximate.
        """
        if not unrouted and all(track.words is None for track in self._plan.tracks):
            return None
        words = [word for track in self._plan.tracks for word in track.words or ()]
        end_ms = None if self._media_end_ms is None else self._media_end_ms + (0 if cut_off else MAX_OVERHANG_MS)
        after_end = 0 if end_ms is None else sum(end_ms <= word.start_ms and word.end_ms <= self.sent.media_ms for word in words)
        return SentWords(announced=len(words) + unrouted, sent=self._words, unrouted=unrouted, after_end=after_end)

    def finish(self) -> None:
        """Send the session's end and wait until every record is acknowledged."""
        self.send_event(self.sent.end(), self.sent.media_ms)
        self._sender.flush()
