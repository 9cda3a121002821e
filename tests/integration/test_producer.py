"""The producer against real brokers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient

from stream.config.service_settings import KafkaSettings
from stream.domain.chunk import Chunk
from stream.domain.identity import SessionKey
from stream.domain.kafka_records import decode_text, parse_chunk, parse_session
from stream.domain.modality import MODALITIES, Modality
from stream.domain.session_events import SessionEnd, SessionStart
from stream.domain.topics import Topics
from stream.kafka_admin.connection import kafka_options
from stream.kafka_admin.errors import BrokerError
from stream.kafka_admin.topics import ensure_topics
from stream.local.ports import free_port
from stream.media.errors import SourceError
from stream.produce.prepare import MediaRequest, PreparedSession, prepare
from stream.produce.producer import SendProgress, produce_session
from stream.produce.sample import CALL, FACES
from stream.produce.sent import SentWords
from tests.support import media
from tests.support.kafka_records import read_topic


@pytest.fixture
def kafka(kafka_bootstrap: str) -> KafkaSettings:
    """A broker with topics for this test alone."""
    settings = KafkaSettings(bootstrap=kafka_bootstrap, topic_prefix=f"p{uuid.uuid4().hex[:8]}.", partitions=3)
    ensure_topics(settings)
    return settings


def _chunks(kafka: KafkaSettings, modality: Modality) -> dict[str, list[Chunk]]:
    by_track: dict[str, list[Chunk]] = defaultdict(list)
    for record in read_topic(kafka, Topics(kafka.topic_prefix).chunks(modality)):
        chunk = parse_chunk(record.key, record.value, record.headers, modality)
        by_track[chunk.header.track.track].append(chunk)
    return by_track


def _events(kafka: KafkaSettings) -> list[Any]:
    records = read_topic(kafka, Topics(kafka.topic_prefix).sessions)
    return [parse_session(record.key, record.value, record.headers).event for record in records]


def test_topics_are_created_once_with_the_same_partition_count(kafka: KafkaSettings) -> None:
    again = ensure_topics(kafka.model_copy(update={"partitions": 5}))
    assert (again.partitions, again.created) == (3, ())
    for topic in Topics(kafka.topic_prefix).inputs:
        assert read_topic(kafka, topic) == []


def test_topics_with_different_partition_counts_are_refused(kafka_bootstrap: str) -> None:
    settings = KafkaSettings(bootstrap=kafka_bootstrap, topic_prefix=f"p{uuid.uuid4().hex[:8]}.", partitions=3)
    topics = Topics(settings.topic_prefix)
    admin = KafkaAdminClient(**kafka_options(settings))
    counts = {topics.sessions: 2, topics.inputs[0]: 4}
    admin.create_topics({name: {"num_partitions": count, "replication_factor": 1} for name, count in counts.items()})
    admin.close()
    with pytest.raises(BrokerError, match="same number of partitions"):
        ensure_topics(settings)


def test_a_film_arrives_complete_and_in_order(kafka: KafkaSettings) -> None:
    session = prepare(MediaRequest(FACES, FACES.with_suffix(".vtt"), session="faces", role="customer"))
    progress: list[SendProgress] = []
    produced = produce_session(kafka, session, speed=None, on_progress=progress.append)
    assert (produced.chunks, produced.media_ms, produced.recording.stopped, produced.recording.complete) == (
        {Modality.TEXT: 21, Modality.AUDIO: 21, Modality.VIDEO: 21}, 21_000, False, True,
    )  # fmt: skip
    assert produced.recording.words == SentWords(announced=42, sent=42, unrouted=0)
    assert progress[-1] == SendProgress(21_000, 21_000, 63)
    words = []
    for modality in MODALITIES:
        chunks = _chunks(kafka, modality)["speaker"]
        assert [chunk.header.seq for chunk in chunks] == list(range(21))
        assert [chunk.header.start_ms for chunk in chunks] == [n * 1000 for n in range(21)]
        assert {after.header.captured_ms - before.header.captured_ms for before, after in pairwise(chunks)} == {1000}
        assert {chunk.header.role for chunk in chunks} == {"customer"}
        words += [word.text for chunk in chunks if modality is Modality.TEXT for word in decode_text(chunk.payload).words]
    assert len(words) == 42
    start, end = _events(kafka)
    assert isinstance(start, SessionStart)
    assert isinstance(end, SessionEnd)
    assert end.media_ms == 21_000
    assert dict(end.tracks[0].chunks) == {Modality.TEXT: 21, Modality.AUDIO: 21, Modality.VIDEO: 21}


def test_all_topics_put_a_session_into_one_partition(kafka: KafkaSettings) -> None:
    for number in range(4):
        session = prepare(MediaRequest(CALL, CALL.with_suffix(".vtt"), session=f"call-{number}", channels=("agent", "customer")))
        produce_session(kafka, session, speed=None)
    partitions_by_key: dict[bytes, set[int]] = defaultdict(set)
    for topic in Topics(kafka.topic_prefix).inputs:
        for record in read_topic(kafka, topic):
            partitions_by_key[record.key].add(record.partition)
    assert len(partitions_by_key) == 4
    assert all(len(partitions) == 1 for partitions in partitions_by_key.values())
    assert len(set.union(*partitions_by_key.values())) > 1
    assert {track: len(chunks) for track, chunks in _chunks(kafka, Modality.AUDIO).items()} == {"agent": 100, "customer": 100}


def test_live_pace_and_an_early_stop(kafka: KafkaSettings) -> None:
    session = prepare(MediaRequest(CALL, CALL.with_suffix(".vtt"), session="early", channels=("agent", "customer")))
    stop = threading.Event()

    def stop_after_two_seconds(progress: SendProgress) -> None:
        if progress.media_ms >= 2000 and progress.chunks == 8:
            stop.set()

    began_ms = time.time() * 1000
    produced = produce_session(kafka, session, speed=1.0, stop=stop, on_progress=stop_after_two_seconds)
    assert 1.9 <= produced.seconds < 6.0
    assert (produced.recording.stopped, produced.recording.complete, produced.recording.warnings) == (True, False, ())
    assert produced.media_ms == 2000
    first, second = _chunks(kafka, Modality.AUDIO)["agent"]
    assert second.header.captured_ms - first.header.captured_ms == 1000
    assert began_ms <= first.header.captured_ms <= began_ms + 5000
    end = _events(kafka)[-1]
    assert isinstance(end, SessionEnd)
    assert [dict(track.chunks) for track in end.tracks] == [{Modality.TEXT: 2, Modality.AUDIO: 2}] * 2


def test_several_sessions_at_once(kafka: KafkaSettings) -> None:
    base = prepare(MediaRequest(CALL, channels=("agent", "customer"), recognise=False))
    threads = [threading.Thread(target=produce_session, args=(kafka, _renamed(base, f"s{n}")), kwargs={"speed": None}) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_chunks(kafka, Modality.AUDIO)["agent"]) == 75
    assert sum(isinstance(event, SessionEnd) for event in _events(kafka)) == 3


def _renamed(session: PreparedSession, name: str) -> PreparedSession:
    return replace(session, plan=replace(session.plan, key=SessionKey("default", name)))


def test_a_broker_that_is_away_is_one_clear_error() -> None:
    kafka = KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}")
    session = prepare(MediaRequest(CALL.with_suffix(".vtt")))
    for call in (lambda: ensure_topics(kafka), lambda: produce_session(kafka, session)):
        with pytest.raises(BrokerError, match="does not answer at 127"):
            call()


def test_channels_that_do_not_match_the_file_are_refused() -> None:
    with pytest.raises(SourceError, match="has 2 audio channel"):
        prepare(MediaRequest(CALL, channels=("a", "b", "c")))
    with pytest.raises(SourceError, match="twice"):
        prepare(MediaRequest(CALL, channels=("a", "A")))


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stream.cli", "produce", *arguments]


def test_the_command_sends_and_ends_on_ctrl_c(kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTISTREAM_KAFKA__TOPIC_PREFIX", kafka.topic_prefix)
    options = ("--kafka", kafka.bootstrap, "--channels", "agent,customer", "--transcript", str(CALL.with_suffix(".vtt")))
    command = _command(str(CALL), "--session", "whole", "--speed", "max", *options)
    whole = subprocess.run(command, capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stderr
    assert "24.9 s of media" in whole.stderr
    running = subprocess.Popen(_command(str(CALL), "--session", "cut", *options), stderr=subprocess.PIPE)
    for _ in range(100):
        time.sleep(0.1)
        if len(_chunks(kafka, Modality.AUDIO)["agent"]) > 25:
            break
    running.send_signal(signal.SIGINT)
    assert running.communicate(timeout=20)
    assert running.returncode == 130
    ends = [event for event in _events(kafka) if isinstance(event, SessionEnd)]
    assert len(ends) == 2
    assert min(end.media_ms for end in ends) < 20_000


def test_strict_turns_what_was_not_sent_into_an_exit_code_and_json_says_what_it_is(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTISTREAM_KAFKA__TOPIC_PREFIX", kafka.topic_prefix)
    whole, cut, words = tmp_path / "whole.mp4", tmp_path / "cut.mp4", tmp_path / "cut.vtt"
    media.write_film(whole, seconds=6, container_options={"movflags": "faststart"})
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    words.write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nwell then\n\n00:05.000 --> 00:06.000\nlast words\n", encoding="utf-8")
    options = ("--kafka", kafka.bootstrap, "--speed", "max", "--json")
    done = subprocess.run(_command(str(cut), *options), capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["complete"]) == (0, False), done.stderr
    strict = _command(str(cut), "--transcript", str(words), "--strict", *options)
    done = subprocess.run(strict, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["event"], summary["complete"], summary["chunks"]["text"]) == ("summary", False, 6)
    (recording,) = summary["recordings"]
    (picture,) = recording["streams"]
    assert (recording["media"], picture["kind"], picture["track"], picture["announced_ms"]) == ("cut.mp4", "video", 1, 6000)
    assert 2000 <= picture["sent_ms"] <= 4000
    assert picture["lost_ms"] == 6000 - picture["sent_ms"]
    assert recording["words"] == {"announced": 4, "sent": 4, "unrouted": 0, "after_end": 2}
    warning, of_words = recording["warnings"]
    assert of_words.startswith("words: 2 of 4 come after the end")
    assert warning.startswith(f"picture: {picture['sent_ms'] / 1000:.1f} s of 6.0 s were sent")
    assert f"warning: {warning}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gone.mp4",), "no such file"),
        ((str(CALL), "--channels", "a,b,c"), "has 2 audio channels in one track"),
        ((str(CALL), "--channels", "a,,b"), "has an empty name"),
        ((str(CALL), "--audio-track", "2"), "there is no audio track 2"),
        ((str(CALL), "--speed", "warp"), "or max"),
        ((str(CALL), "--channels", "a,b", "--track", "x"), "one or the other"),
        ((str(CALL.with_suffix(".vtt")), "--session", "a b"), "session must be"),
        ((str(CALL.with_suffix(".vtt")), "--kafka", "127.0.0.1:1"), "does not answer"),
    ],
)
def test_the_command_explains_what_is_wrong(arguments: tuple[str, ...], message: str) -> None:
    done = subprocess.run(_command(*arguments), capture_output=True, text=True, check=False)
    assert done.returncode not in {0, 130}
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
