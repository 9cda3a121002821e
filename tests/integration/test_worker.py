"""The real worker on a real broker, Redis and Triton: good media is scored, bad media goes to the dead letters, and the rest flows on."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from kafka import KafkaProducer

from stream.config.settings import Settings
from stream.domain.chunk import ContentType
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.kafka_records import chunk_headers, encode_words, session_record
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ExplanationRecord, ScoreRecord, SessionRecord
from stream.domain.session_events import KeyedSessionEvent, SessionEnd, TrackEnd
from stream.domain.topics import Topics
from stream.kafka_admin.connection import kafka_options
from stream.kafka_admin.topics import ensure_topics
from stream.local.environment import child_environment
from stream.produce.prepare import MediaRequest, prepare
from stream.produce.producer import produce_session
from stream.produce.sample import FACES
from stream.sinks.reader import ResultReader
from stream.sinks.redis_sink import RedisSink
from tests.fakes.chunks import header
from tests.support.kafka_records import read_topic
from tests.support.media import film, giant_jpeg, jpeg

SESSION = SessionKey("acme", "hostile")


def bad_chunks() -> list[tuple[Modality, str, bytes, str]]:
    """(modality, content type, value, expected reason)."""
    return [
        (Modality.AUDIO, ContentType.PCM, b"\x00\x01\x02", "odd_bytes"),
        (Modality.AUDIO, ContentType.PCM, bytes(64_000), "too_long"),
        (Modality.AUDIO, ContentType.OGG_OPUS, b"OggS" + bytes(100), "bad_media"),
        (Modality.VIDEO, ContentType.JPEG, jpeg()[:-400], "bad_media"),
        (Modality.VIDEO, ContentType.JPEG, giant_jpeg(50_000), "too_large"),
        (Modality.VIDEO, ContentType.VIDEO_MP4, film()[:2000], "bad_media"),
        (Modality.VIDEO, ContentType.VIDEO_MP4, jpeg(), "wrong_type"),
        (Modality.TEXT, ContentType.WORDS, b'{"words": [{"text": "secretword"}]}', "bad_words"),
        (Modality.TEXT, ContentType.WORDS, b'{"words": [{"text": "secretword", "start_ms": NaN, "end_ms": 1}]}', "bad_words"),
    ]


async def run_until_ended(settings: Settings, directory: Path, session: SessionKey) -> str:
    """Run a worker until the session has its summary; return its log."""
    log = directory / "worker.log"
    with log.open("wb") as sink:
        command = [sys.executable, "-m", "stream.cli", "worker"]
        process = await asyncio.create_subprocess_exec(*command, env=child_environment(settings), stdout=sink, stderr=sink)
        try:
            async with asyncio.timeout(90), ResultReader(settings.redis, [session]) as reader:
                async for received in reader:
                    if isinstance(received.record, SessionRecord):
                        break
        finally:
            if process.returncode is None:
                process.terminate()
            assert await asyncio.wait_for(process.wait(), 20) == 0, log.read_text()[-2000:]
    return log.read_text()


@pytest.fixture
def own(settings: Settings) -> Settings:
    kafka = settings.kafka.model_copy(update={"session_timeout_s": 6.0, "fetch_max_wait_ms": 20})
    ensure_topics(kafka)
    return settings.model_copy(update={"kafka": kafka})


async def all_finals(settings: Settings, session: SessionKey) -> list[ScoreRecord]:
    store = RedisSink(settings.redis)
    finals = await store.finals(session)
    await store.close()
    return finals


async def test_a_clip_is_scored_explained_and_published_in_kafka_and_redis(own: Settings, tmp_path: Path) -> None:
    prepared = await asyncio.to_thread(prepare, MediaRequest(FACES, FACES.with_suffix(".vtt"), session=f"clip-{own.kafka.group}"))
    await asyncio.to_thread(produce_session, own.kafka, prepared, speed=None)
    session = prepared.plan.key
    await run_until_ended(own, tmp_path, session)
    finals = await all_finals(own, session)
    assert any(final.modalities_present == MODALITIES for final in finals)
    topics = Topics(own.kafka.topic_prefix)
    scores = [msgspec.json.decode(r.value, type=ScoreRecord) for r in read_topic(own.kafka, topics.scores)]
    explanations = [msgspec.json.decode(r.value, type=ExplanationRecord) for r in read_topic(own.kafka, topics.explanations)]
    assert scores == finals
    assert [e.window_id for e in explanations] == [s.window_id for s in finals]
    assert not read_topic(own.kafka, topics.dead_letters)


async def test_bad_media_goes_to_the_dead_letters_and_the_session_goes_on(own: Settings, tmp_path: Path) -> None:
    session = SessionKey(SESSION.tenant, f"hostile-{own.kafka.group}")
    track = TrackKey(session, "customer")
    producer = KafkaProducer(**kafka_options(own.kafka))
    seqs = dict.fromkeys(MODALITIES, 0)

    def send(modality: Modality, content_type: str, value: bytes) -> None:
        of_chunk = replace(header(seqs[modality], modality), track=track, content_type=content_type)
        seqs[modality] += 1
        topic = Topics(own.kafka.topic_prefix).chunks(modality)
        producer.send(topic, key=str(session).encode(), value=value, headers=chunk_headers(of_chunk))

    hum = (np.sin(np.arange(16_000) / 20) * 9000).astype("<i2").tobytes()
    bad = bad_chunks()
    for modality, content_type, value, _ in bad:
        send(modality, content_type, value)
    for _ in range(10):
        send(Modality.AUDIO, ContentType.PCM, hum)
        send(Modality.VIDEO, ContentType.JPEG, jpeg())
        send(Modality.TEXT, ContentType.WORDS, encode_words(()))
    producer.flush()
    producer.close()
    send_end(own, session, {m: seqs[m] for m in MODALITIES})
    log = await run_until_ended(own, tmp_path, session)
    finals = await all_finals(own, session)
    letters = read_topic(own.kafka, Topics(own.kafka.topic_prefix).dead_letters)
    reasons = sorted(dict(letter.headers)["dl_reason"].decode() for letter in letters)
    assert reasons == sorted(reason for *_, reason in bad)
    assert all({"dl_topic", "dl_partition", "dl_offset", "dl_detail"} <= dict(letter.headers).keys() for letter in letters)
    # A hum is no voice: its windows say nothing, but have the sound.
    assert sum(Modality.AUDIO in final.modalities_expected and final.score is None for final in finals) >= 5
    assert "secretword" not in log
    assert "Traceback" not in log


def send_end(settings: Settings, session: SessionKey, counts: dict[Modality, int]) -> None:
    event = SessionEnd(0, max(counts.values()) * 1000, (TrackEnd("customer", counts),))
    key, value, headers = session_record(KeyedSessionEvent(session, event), "test", 0)
    with KafkaProducer(**kafka_options(settings.kafka)) as producer:
        producer.send(Topics(settings.kafka.topic_prefix).sessions, key=key, value=value, headers=headers)
        producer.flush()
