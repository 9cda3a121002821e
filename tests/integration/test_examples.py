"""The example producers, and what `check-producer` says about them and about wrong settings of their clients, on Apache Kafka."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from typer.testing import CliRunner

from stream.cli.main import app
from stream.config.project import PROJECT_ROOT
from stream.config.settings import Settings
from stream.domain.chunk import ChunkHeader, ContentType
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.kafka_records import chunk_headers
from stream.domain.modality import Modality
from stream.domain.partition import partition_of
from stream.domain.topics import Topics
from stream.kafka_admin.connection import kafka_options
from stream.kafka_admin.topics import ensure_topics
from stream.produce.check.partitioners import kafkajs_legacy
from stream.produce.prepare import MediaRequest, prepare
from stream.produce.producer import produce_session
from stream.produce.sample import FACES
from stream.sinks.redis_sink import RedisSink
from tests.support.contracts import problems_of_record
from tests.support.delivery import worker
from tests.support.header_names import NotUtf8
from tests.support.kafka import kafka_home
from tests.support.kafka_records import read_topic
from tests.support.settings import own_settings

EXAMPLES = PROJECT_ROOT / "examples"
SECONDS = 6
EXPECTED = [(4000, 4.0), (6000, 4.0), (8000, 2.0)]
"""End and number of words of the windows of the examples' session."""


@pytest.fixture
def settings(apache_bootstrap: str, redis_url: str) -> Settings:
    settings = own_settings("examples", apache_bootstrap, redis_url)
    ensure_topics(settings.kafka)
    return settings


@contextmanager
def skipped_if_it_fails(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"{what} ({type(error).__name__})")


def python_example(directory: Path, change: Callable[[str], str] = str) -> list[str]:
    pytest.importorskip("confluent_kafka")
    script = directory / "producer.py"
    script.write_text(change((EXAMPLES / "python" / "producer.py").read_text(encoding="utf-8")), encoding="utf-8")
    return [sys.executable, str(script)]


def node_example(directory: Path, change: Callable[[str], str] = str) -> list[str]:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node and npm on the PATH")
    shutil.copy(EXAMPLES / "node" / "package.json", directory)
    with skipped_if_it_fails("kafkajs cannot be installed with npm: no connection to its registry"):
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=directory, check=True, capture_output=True, timeout=60
        )
    script = directory / "producer.js"
    script.write_text(change((EXAMPLES / "node" / "producer.js").read_text(encoding="utf-8")), encoding="utf-8")
    return ["node", str(script)]


def java_example(directory: Path) -> list[str]:
    if shutil.which("javac") is None:
        pytest.skip("no javac on the PATH")
    libraries = f"{kafka_home() / 'libs'}/*"
    source = EXAMPLES / "java" / "src" / "main" / "java" / "SessionProducer.java"
    subprocess.run(["javac", "-Xlint:all", "-Werror", "-cp", libraries, "-d", str(directory), str(source)], check=True)
    return ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{libraries}:{directory}", "SessionProducer"]


def run(command: list[str], settings: Settings, session: str) -> None:
    options = ("--bootstrap", settings.kafka.bootstrap, "--session", session, "--topic-prefix", settings.kafka.topic_prefix)
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr


def check(settings: Settings, session: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[dict[str, Any]]]:
    """Exit code of `check-producer`, and its findings without what is fine."""
    monkeypatch.setenv("SENTISTREAM_KAFKA__TOPIC_PREFIX", settings.kafka.topic_prefix)
    result = CliRunner().invoke(app, ["check-producer", "--session", session, "--kafka", settings.kafka.bootstrap, "--json"])
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return result.exit_code, [line for line in lines if line["event"] == "finding" and line["severity"] != "ok"]


def sent_headers(settings: Settings, session: str) -> list[dict[str, bytes]]:
    """Headers of the session's chunks, without those that differ with each run."""
    topics = Topics(settings.kafka.topic_prefix)
    records = [record for modality in (Modality.TEXT, Modality.AUDIO) for record in read_topic(settings.kafka, topics.chunks(modality))]
    own = [dict(record.headers) for record in records if record.key == f"default/{session}".encode()]
    return [{name: value for name, value in headers.items() if name not in {"ce_id", "ce_time", "ce_source"}} for headers in own]


def contract_problems(settings: Settings) -> list[str]:
    """What the records that were sent have that the published schemas do not allow."""
    topics = ("chunks.text", "chunks.audio", "sessions")
    sent = [(topic, record) for topic in topics for record in read_topic(settings.kafka, settings.kafka.topic_prefix + topic)]
    return [problem for topic, record in sent for problem in problems_of_record(topic, record.value, record.headers)]


def expected_headers(session: str) -> list[dict[str, bytes]]:
    """Headers of the same session as our own producer writes them."""
    track = TrackKey(SessionKey("default", session), "customer")
    types = {Modality.TEXT: ContentType.WORDS, Modality.AUDIO: ContentType.PCM}
    headers = [
        dict(chunk_headers(ChunkHeader("id", "source", track, "customer", modality, second, 0, second * 1000, 1000, 0, content_type)))
        for modality, content_type in types.items()
        for second in range(SECONDS)
    ]
    return [{name: value for name, value in each.items() if name not in {"ce_id", "ce_time", "ce_source"}} for each in headers]


@pytest.mark.parametrize("example", [python_example, node_example, java_example])
async def test_an_example_sends_what_our_producer_would_send_and_is_scored(
    example: Callable[[Path], list[str]], settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = f"example-{uuid.uuid4().hex[:8]}"
    run(example(tmp_path), settings, session)
    assert check(settings, session, monkeypatch) == (0, [])
    assert sent_headers(settings, session) == expected_headers(session)
    assert contract_problems(settings) == []
    store = RedisSink(settings.redis)
    async with worker(settings, tmp_path, "worker"):
        key = SessionKey("default", session)
        for _ in range(100):
            finals = [(window.end_ms, window.score) for window in await store.finals(key)]
            if len(finals) >= len(EXPECTED):
                break
            await asyncio.sleep(0.1)
    await store.close()
    assert finals == EXPECTED


@pytest.mark.parametrize(
    ("example", "right", "wrong", "partitioner", "client"),
    [
        (
            python_example,
            '"partitioner": "murmur2_random",',
            "",
            lambda key: zlib.crc32(key) % 6,
            "librdkafka with its default partitioner",
        ),
        (node_example, "DefaultPartitioner", "LegacyPartitioner", lambda key: kafkajs_legacy(key, 6), "kafkajs 1"),
    ],
    ids=["librdkafka", "kafkajs"],
)
def test_a_client_with_another_partitioner_is_found_and_named(
    example: Callable[[Path, Callable[[str], str]], list[str]],
    right: str,
    wrong: str,
    partitioner: Callable[[bytes], int],
    client: str,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = (f"call-{number}" for number in range(100))
    session = next(name for name in names if partitioner(f"default/{name}".encode()) != partition_of(f"default/{name}".encode(), 6))
    command = example(tmp_path, lambda source: source.replace(right, wrong))
    run(command, settings, session)
    code, (finding,) = check(settings, session, monkeypatch)
    assert (code, finding["code"], finding["count"]) == (1, "wrong_partition", 2 * SECONDS + 2)
    assert client in finding["text"]
    assert ("murmur2_random" if "librdkafka" in client else "Partitioners.DefaultPartitioner") in finding["fix"]


def test_transactions_that_were_aborted_or_are_open_are_said(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    confluent_kafka = pytest.importorskip("confluent_kafka")
    session, topics = "transactional", Topics(settings.kafka.topic_prefix)
    run(python_example(tmp_path), settings, session)
    (sample, *_) = read_topic(settings.kafka, topics.chunks(Modality.AUDIO))
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": settings.kafka.bootstrap, "transactional.id": session, "partitioner": "murmur2_random"}
    )
    producer.init_transactions(10)

    def send(count: int) -> None:
        producer.begin_transaction()
        for _ in range(count):
            producer.produce(topics.chunks(Modality.AUDIO), sample.value, sample.key, headers=list(sample.headers))
        producer.flush(10)

    send(3)
    producer.abort_transaction(10)
    code, findings = check(settings, session, monkeypatch)
    assert (code, [(finding["code"], finding["count"]) for finding in findings]) == (0, [("aborted", 3)])
    send(2)
    code, findings = check(settings, session, monkeypatch)
    assert code == 1
    assert [(finding["code"], finding["count"]) for finding in findings] == [("open_transaction", 2), ("aborted", 3)]
    producer.abort_transaction(10)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_records_are_read(codec: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(
        python_example(tmp_path, lambda source: source.replace('"linger.ms": 5,', f'"linger.ms": 5, "compression.type": "{codec}",')),
        settings,
        codec,
    )
    assert check(settings, codec, monkeypatch) == (0, [])


def test_records_that_cannot_be_read_hide_no_others(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    topics = Topics(settings.kafka.topic_prefix)
    with KafkaProducer(**kafka_options(settings.kafka)) as producer:
        for partition in range(settings.kafka.partitions):
            producer.send(topics.chunks(Modality.AUDIO), b"odd", partition=partition, headers=[(NotUtf8("name"), b"value")])
    run(python_example(tmp_path), settings, "beside")
    code, (finding,) = check(settings, "beside", monkeypatch)
    assert (code, finding["code"], finding["count"]) == (0, "unreadable", settings.kafka.partitions)


def test_a_session_without_records_is_told_from_those_that_were_seen(settings: Settings, tmp_path: Path) -> None:
    run(python_example(tmp_path), settings, "here")
    environment = {"SENTISTREAM_KAFKA__TOPIC_PREFIX": settings.kafka.topic_prefix}
    options = ["check-producer", "--session", "elsewhere", "--kafka", settings.kafka.bootstrap]
    result = CliRunner().invoke(app, options, env=environment)
    assert result.exit_code == 1
    message = " ".join(result.stderr.split())
    assert "no record of default/elsewhere was found" in message
    assert f"{settings.kafka.topic_prefix}chunks.audio: {SECONDS}" in message
    assert "Sessions seen, newest first: default/here." in message


def test_nothing_is_wrong_with_what_our_producer_sends(kafka_bootstrap: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = own_settings("own", kafka_bootstrap, redis_url)
    ensure_topics(settings.kafka)
    session = prepare(MediaRequest(FACES, FACES.with_suffix(".vtt"), session="faces", role="customer"))
    produce_session(settings.kafka, session, speed=None)
    assert check(settings, "faces", monkeypatch) == (0, [])
