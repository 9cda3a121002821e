"""A session as a producer should send it, record by record, for tests of `stream.produce.check`: sound, pictures and words of one track."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from stream.config.media_settings import WindowSettings
from stream.domain.chunk import ChunkHeader, ContentType
from stream.domain.features import Word
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.kafka_records import chunk_headers, encode_words, session_record
from stream.domain.media_format import SAMPLE_RATE
from stream.domain.modality import Modality
from stream.domain.partition import partition_of
from stream.domain.session_events import KeyedSessionEvent, SessionEnd, SessionEvent, SessionStart, TrackEnd, TrackPlan
from stream.domain.topics import Topics
from stream.produce.check.finding import Finding, Position
from stream.produce.check.record import LogFacts, SentRecord, TopicFacts
from stream.produce.check.session import SessionCheck, SessionReport

SESSION = SessionKey("default", "call-1")
SECONDS = 8
PARTITIONS = 6
BEGAN_MS = 1_795_000_000_000
TOPICS = Topics()
MODALITIES = (Modality.TEXT, Modality.AUDIO)
START = SessionStart(0, (TrackPlan("customer", "customer", MODALITIES),))
END = SessionEnd(0, SECONDS * 1000, (TrackEnd("customer", dict.fromkeys(MODALITIES, SECONDS)),))
FACTS = LogFacts([TopicFacts(topic, PARTITIONS) for topic in TOPICS.inputs], BEGAN_MS + 600_000, dict.fromkeys(TOPICS.inputs, 10))

Change = Callable[[ChunkHeader, bytes], tuple[ChunkHeader, bytes]]


def tone(milliseconds: int = 1000) -> bytes:
    """A tone of 200 Hz as little-endian samples."""
    times = np.arange(milliseconds * SAMPLE_RATE // 1000) / SAMPLE_RATE
    return (8000 * np.sin(2 * math.pi * 200 * times)).astype("<i2").tobytes()


def chunk_header(modality: Modality, seq: int) -> ChunkHeader:
    """Header of the chunk of one second."""
    content_type = ContentType.WORDS if modality is Modality.TEXT else ContentType.PCM
    return ChunkHeader(
        id=f"{modality}-{seq}",
        source="test",
        track=TrackKey(SESSION, "customer"),
        role="customer",
        modality=modality,
        seq=seq,
        epoch=0,
        start_ms=seq * 1000,
        duration_ms=1000,
        captured_ms=BEGAN_MS + (seq + 1) * 1000,
        content_type=content_type,
    )


def chunk_record(header: ChunkHeader, payload: bytes, offset: int, *, delay_ms: int = 50) -> SentRecord:
    """The record of a chunk, in the partition of its key."""
    key = str(header.session).encode()
    at = Position(TOPICS.chunks(header.modality), partition_of(key, PARTITIONS), offset)
    return SentRecord(at, key, payload, chunk_headers(header), header.captured_ms + delay_ms)


def event_record(event: SessionEvent, at_ms: int, offset: int) -> SentRecord:
    """The record of a session event."""
    key, value, headers = session_record(KeyedSessionEvent(SESSION, event), "test", at_ms)
    return SentRecord(Position(TOPICS.sessions, partition_of(key, PARTITIONS), offset), key, value, headers, at_ms)


def chunks(modality: Modality, change: Change = lambda header, payload: (header, payload), seconds: int = SECONDS) -> list[SentRecord]:
    """The chunks of one modality; ``change`` may alter the header and the payload of each."""
    records = []
    for seq in range(seconds):
        header = chunk_header(modality, seq)
        payload = encode_words([Word("secretword", seq * 1000 + 200, seq * 1000 + 600)]) if modality is Modality.TEXT else tone()
        records.append(chunk_record(*change(header, payload), seq))
    return records


def good_session() -> list[SentRecord]:
    """A session in which nothing is wrong."""
    start, end = event_record(START, BEGAN_MS, 0), event_record(END, BEGAN_MS + SECONDS * 1000, 1)
    return [start, *chunks(Modality.TEXT), *chunks(Modality.AUDIO), end]


def with_chunks(modality: Modality, records: list[SentRecord]) -> list[SentRecord]:
    """The good session with other records of a modality."""
    topic = TOPICS.chunks(modality)
    return [*records, *(record for record in good_session() if record.at.topic != topic)]


def with_headers(record: SentRecord, **headers: bytes | None) -> SentRecord:
    """A record with other headers; ``content_type`` stands for ``content-type``, and None removes a header."""
    changed = {name.replace("content_type", "content-type"): value for name, value in headers.items()}
    kept = {**dict(record.headers), **changed}
    return replace(record, headers=[(name, value) for name, value in kept.items() if value is not None])


def check(records: Iterable[SentRecord], log: LogFacts = FACTS) -> SessionReport:
    """Check records as those of the session."""
    session_check = SessionCheck(SESSION, TOPICS, WindowSettings(), {topic.name: topic.partitions for topic in log.topics})
    for record in records:
        session_check.add(record)
    return session_check.report(log)


def problems(report: SessionReport) -> dict[str, Finding]:
    """Errors and warnings, by code."""
    return {finding.code: finding for finding in report.findings if finding.severity != "ok"}
