"""TLS, logins and least rights, with the settings of docker-compose.hardened.yml, on a real Apache Kafka and a real Redis.

Every program runs as itself, with its own user: prepare-kafka, worker, produce, config check, the reader.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import AuthorizationError, KafkaError
from pydantic import SecretStr

from stream.config.load import ENV_PREFIX, load_settings
from stream.config.service_settings import KafkaSettings, RedisSettings
from stream.config.settings import Settings
from stream.domain.identity import SessionKey
from stream.domain.result import ExplanationRecord, ScoreRecord, SessionRecord
from stream.kafka_admin.access import Use
from stream.kafka_admin.connection import consumer_options, kafka_options
from stream.kafka_admin.errors import WrongBrokerError
from stream.kafka_admin.handshake import broker_problem
from stream.kafka_admin.topics import ensure_topics
from stream.local.ports import LOOPBACK
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.examine import examine
from stream.sinks.problems import RedisProblem, RedisUnusableError
from stream.sinks.reader import ResultReader
from tests.support.hardened import Hardened, hardened_services, start_hardened
from tests.support.kafka import why_unavailable
from tests.support.redis_servers import why_no_tls

SAMPLE_LINES = "WEBVTT\n\n00:00.000 --> 00:04.000\n<v customer>My invoice is wrong again and I am really angry about it\n"
SESSION = SessionKey("acme", "hardened")
WORKED_S = 90
FORBIDDEN = (("FLUSHALL",), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("ACL", "LIST"), ("SET", "elsewhere", "1"), ("GET", "elsewhere"))


@dataclass(frozen=True, slots=True)
class Scored:
    """The services, with a session that the programs of the stack have scored.

    Attributes:
        stack: The services.
        triton_url: The embedded Triton.
        log: What the worker has logged.
        produced: What `produce` has printed.
    """

    stack: Hardened
    triton_url: str
    log: str
    produced: str

    def kafka(self, user: str, **changes: Any) -> KafkaSettings:
        return self.settings(user).kafka.model_copy(update=changes)

    def settings(self, user: str) -> Settings:
        return settings_of(self.stack.user_settings(user))


def settings_of(variables: Mapping[str, str]) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        return load_settings()


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)} | dict(variables)


def run(arguments: list[str], variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stream.cli", *arguments]
    return subprocess.run(command, env=environment(variables), capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hardened]:
    for reason in (why_unavailable(), why_no_tls(), None if shutil.which("openssl") else "no openssl here to make certificates with"):
        if reason:
            pytest.skip(reason)
    started, processes = asyncio.run(start_hardened(tmp_path_factory.mktemp("hardened")))
    yield started
    for process in reversed(processes):
        process.kill()


@pytest.fixture(scope="module")
def prepared(stack: Hardened) -> Hardened:
    """The services once the container `kafka-users` has done its work."""
    service = hardened_services()["kafka-users"]
    variables = {name: stack.here("admin", value) for name, value in service["environment"].items()}
    arguments = [stack.here("admin", argument) for argument in service["command"]]
    for _ in range(2):  # a second run does no harm
        done = run(arguments, variables)
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("all topics were there; 4 passwords set; ")
    return stack


@pytest.fixture(scope="module")
def scored(prepared: Hardened, triton_url: str, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    directory = tmp_path_factory.mktemp("scored")
    transcript = directory / "call.vtt"
    transcript.write_text(SAMPLE_LINES)
    sent = run(
        ["produce", str(transcript), "--session", SESSION.session, "--tenant", SESSION.tenant, "--speed", "max", "--json"],
        prepared.user_settings("producer"),
    )
    assert sent.returncode == 0, sent.stderr
    log = asyncio.run(run_worker(prepared.user_settings("worker") | {"SENTISTREAM_TRITON__URL": triton_url}, directory / "worker.log"))
    return Scored(prepared, triton_url, log, sent.stdout + sent.stderr)


async def run_worker(variables: Mapping[str, str], log: Path) -> str:
    with log.open("wb") as sink:
        command = [sys.executable, "-m", "stream.cli", "worker"]
        process = await asyncio.create_subprocess_exec(*command, env=environment(variables), stdout=sink, stderr=sink)
        try:
            async with asyncio.timeout(WORKED_S), ResultReader(settings_of(variables).redis, [SESSION]) as reader:
                async for received in reader:
                    if isinstance(received.record, SessionRecord):
                        break
        finally:
            if process.returncode is None:
                process.terminate()
            code = await asyncio.wait_for(process.wait(), 20)
    assert code == 0, log.read_text()[-2000:]
    return log.read_text()


async def test_a_session_is_sent_scored_and_read_by_users_with_least_rights(scored: Scored) -> None:
    kinds = set()
    async with asyncio.timeout(20), ResultReader(scored.settings("consumer").redis, [SESSION]) as reader:
        async for received in reader:
            kinds.add(type(received.record))
            if kinds >= {ScoreRecord, ExplanationRecord, SessionRecord}:
                break
    options = consumer_options(scored.kafka("consumer")) | {"auto_offset_reset": "earliest", "consumer_timeout_ms": 10_000}
    with closing(KafkaConsumer("scores", group_id="consumer-wallboard", **options)) as consumer:
        record = next(consumer)
        assert record.key == str(SESSION).encode()
        consumer.commit()


def test_no_program_sees_a_problem_or_says_a_secret(scored: Scored) -> None:
    variables = scored.stack.user_settings("worker") | {"SENTISTREAM_TRITON__URL": scored.triton_url}
    checked = run(["config", "check", "--connect", "--json"], variables)
    found = json.loads(checked.stdout)
    assert checked.returncode == 0, checked.stdout
    assert {name: service["problems"] for name, service in found["services"].items()} == {"kafka": [], "redis": [], "triton": []}
    doctor = run(["doctor", "--json"], variables)
    findings = {finding["name"]: finding for finding in map(json.loads, doctor.stdout.splitlines())}
    assert {findings[name]["status"] for name in ("Kafka", "Redis", "Triton")} == {"ok"}, doctor.stdout
    said = scored.log + scored.produced + checked.stdout + doctor.stdout + doctor.stderr
    assert "service_unusable" not in scored.log
    for line in (scored.stack.secrets / "admin" / "users.txt").read_text().splitlines():
        assert line.split()[1] not in said
    assert str(scored.settings("worker").redis.address.password) not in said


def test_who_has_no_right_to_a_topic_is_refused(scored: Scored) -> None:
    with pytest.raises(WrongBrokerError, match=r"does not allow this user (DESCRIBE and )?WRITE on chunks\.text"):
        ensure_topics(scored.kafka("consumer"), Use.SEND)
    with pytest.raises(WrongBrokerError, match=r"does not allow this user (DESCRIBE and )?READ"):
        ensure_topics(scored.kafka("producer"))
    with closing(KafkaProducer(**kafka_options(scored.kafka("producer")), max_block_ms=5000)) as producer, pytest.raises(KafkaError):
        producer.send("scores", b"forged").get(10)
    for user, topic, group in (
        ("consumer", "chunks.text", "consumer-x"),
        ("consumer", "scores", "sentistream"),
        ("gateway", "scores", None),
    ):
        options = consumer_options(scored.kafka(user)) | {"auto_offset_reset": "earliest", "consumer_timeout_ms": 3000}
        with closing(KafkaConsumer(topic, group_id=group, **options)) as consumer, pytest.raises((AuthorizationError, StopIteration)):
            next(consumer)


def test_kafka_wants_tls_a_login_and_for_administration_a_certificate(scored: Scored) -> None:
    worker, secrets = scored.kafka("worker"), scored.stack.secrets
    administration = f"{LOOPBACK}:{scored.stack.kafka_ports['ADMIN']}"
    wrong: dict[str, dict[str, Any]] = {
        "tls_expected": {"security": "sasl_plaintext"},
        "login_needed": {"security": "ssl"},
        "certificate": {"ca_file": None},
        "login_refused": {"password": SecretStr("no")},
        "bad_cert_file": {"cert_file": secrets / "worker" / "cert.pem", "key_file": secrets / "gateway" / "key.pem"},
        "tls_refused": {"security": "ssl", "bootstrap": administration},
    }
    for code, changes in wrong.items():
        problem = broker_problem(worker.model_copy(update=changes))
        assert problem is not None, code
        assert (problem.code, problem.lasting) == (code, True), problem.text
    # The certificate of a worker is let in, and may do nothing there.
    own = {"cert_file": secrets / "worker" / "cert.pem", "key_file": secrets / "worker" / "key.pem"}
    by_certificate = worker.model_copy(update={"security": "ssl", "bootstrap": administration, **own})
    assert broker_problem(by_certificate) is None
    with pytest.raises(WrongBrokerError, match="does not allow this user"):
        ensure_topics(by_certificate)


async def test_redis_wants_tls_a_certificate_and_a_login(scored: Scored) -> None:
    url = scored.settings("worker").redis.url.get_secret_value()
    login, _, rest = url.removeprefix("rediss://").rpartition("@")
    address, _, files = rest.partition("?")
    wrong = {
        RedisProblem.TLS_NEEDED: f"redis://{login}@{address}",
        RedisProblem.CERTIFICATE: f"rediss://{login}@{address}",
        RedisProblem.CERTIFICATE_NEEDED: f"rediss://{login}@{address}?{files.partition('&')[0]}",
        RedisProblem.PASSWORD_NEEDED: f"rediss://{address}?{files}",
        RedisProblem.WRONG_PASSWORD: f"rediss://worker:no@{address}?{files}",
    }
    for problem, wrong_url in wrong.items():
        found = (await examine(RedisSettings(url=SecretStr(wrong_url)), writes=True)).problem
        assert found is not None, problem
        assert found.problem is problem


async def test_a_reader_cannot_write_and_nobody_can_empty_redis(scored: Scored) -> None:
    consumer = await examine(scored.settings("consumer").redis, writes=True)
    assert consumer.problem is not None
    assert consumer.problem.problem is RedisProblem.NO_PERMISSION
    assert (await examine(scored.settings("consumer").redis, writes=False)).problem is None
    for user in ("worker", "gateway", "consumer"):
        redis = RedisConnection(scored.settings(user).redis)
        for command in FORBIDDEN:
            with pytest.raises(RedisUnusableError):
                await redis.once(partial(execute, command))
        await redis.close()


async def execute(command: tuple[str, ...], client: RedisClient) -> object:
    return await client.execute_command(*command)
