"""What is said about a Kafka that is away, is another server, or does not fit the settings. One broker has all kinds of listeners."""

from __future__ import annotations

import asyncio
import json
import socketserver
import struct
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from kafka import KafkaProducer
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ConfigResource,
    ConfigResourceType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from pydantic import SecretStr

from stream.config.service_settings import KafkaSettings
from stream.config.settings import Settings
from stream.domain.modality import Modality
from stream.domain.service_problem import ServiceProblem
from stream.domain.topics import Topics
from stream.kafka_admin.access import Use, access_problems
from stream.kafka_admin.connection import kafka_options
from stream.kafka_admin.errors import BrokerError, WrongBrokerError
from stream.kafka_admin.handshake import broker_problem
from stream.kafka_admin.topics import ensure_topics
from stream.local.environment import child_environment
from stream.local.ports import LOOPBACK, free_port
from stream.local.redis_server import RedisServer
from stream.local.triton import TritonServer
from stream.produce.check.read import LogReader
from stream.produce.producer import RecordSender
from stream.sinks.redis_sink import RedisSink
from tests.fakes.processing_context import FakeWorker
from tests.support.certificates import PASSWORD, Certificate, make_certificate
from tests.support.delivery import END, EXPECTED, SECONDS, START, finals, send, unique_sessions, until
from tests.support.kafka import ApacheKafka, Listener, why_unavailable
from tests.support.kafka_records import read_topic

SECRET = "hunter2-secret"

PROPERTIES = """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:erin
sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.location={keystore}
ssl.keystore.password={password}
ssl.keystore.type=PKCS12
group.min.session.timeout.ms=6000
"""


@dataclass(frozen=True, slots=True)
class Secured:
    """The broker, and the certificate of its port with TLS."""

    kafka: ApacheKafka
    certificate: Certificate

    def settings(self, listener: str = "", host: str = LOOPBACK, **settings: Any) -> KafkaSettings:
        port = self.kafka.ports[listener] if listener else self.kafka.port
        return KafkaSettings.model_validate({"bootstrap": f"{host}:{port}", **settings})

    def login(self, user: str = "alice", password: str = SECRET, **settings: Any) -> KafkaSettings:
        given = {"security": "sasl_plaintext", "username": user, "password": SecretStr(password), **settings}
        return self.settings("SASL", **given)

    def allow(self, user: str, kind: ResourceType, name: str, *operations: ACLOperation) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap)
        pattern = ResourcePattern(kind, name)
        admin.create_acls([ACL(f"User:{user}", "*", operation, ACLPermissionType.ALLOW, pattern) for operation in operations])
        admin.close()

    def forbid(self, user: str, kind: ResourceType, name: str) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap)
        admin.delete_acls([ACLFilter(f"User:{user}", "*", ACLOperation.ANY, ACLPermissionType.ANY, ResourcePattern(kind, name))])
        admin.close()

    def set_password(self, user: str, password: str) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap)
        admin.alter_user_scram_credentials([UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_256, password)])
        admin.close()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    reason = why_unavailable()
    if reason:
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("secured-kafka")
    certificate = make_certificate(directory)
    kafka = ApacheKafka(
        directory / "kafka",
        extra_properties=PROPERTIES.format(keystore=certificate.keystore, password=PASSWORD),
        listeners={
            "SASL": Listener("SASL_PLAINTEXT"),
            "TLS": Listener("SSL"),
            "AWAY": Listener("PLAINTEXT", f"{LOOPBACK}:{free_port()}"),
            "UNKNOWN": Listener("PLAINTEXT", "kafka.invalid:9092"),
        },
        scram_users={"alice": SECRET, "bob": SECRET, "dora": SECRET, "erin": SECRET},
    )
    asyncio.run(kafka.start())
    yield Secured(kafka, certificate)
    asyncio.run(kafka.stop())


def problems_once(settings: KafkaSettings, codes: list[str]) -> list[ServiceProblem]:
    """The problems with rights and topics, once they have these codes: the broker applies a change a moment after it has confirmed it."""
    until = time.monotonic() + 20
    found = access_problems(settings)
    while [problem.code for problem in found] != codes and time.monotonic() < until:
        time.sleep(0.1)
        found = access_problems(settings)
    assert [problem.code for problem in found] == codes
    return found


def test_settings_that_fit_have_no_problem(secured: Secured) -> None:
    with_tls = secured.settings("TLS", security="ssl", ca_file=secured.certificate.authority)
    for settings in (secured.settings(), secured.login(), with_tls):
        assert broker_problem(settings) is None


WRONG: dict[str, tuple[Callable[[Secured], KafkaSettings], str, str]] = {
    "wrong password": (lambda s: s.login(password="no"), "login_refused", "refuses the login: correct kafka.username and kafka.password"),
    "unknown user": (lambda s: s.login("carol"), "login_refused", "refuses the login: correct kafka.username"),
    "wrong mechanism": (lambda s: s.login(sasl_mechanism="PLAIN"), "sasl_mechanism", "set kafka.sasl_mechanism to SCRAM-SHA-256"),
    "no login": (lambda s: s.settings("SASL"), "login_needed", "set it to sasl_plaintext, and set kafka.username and kafka.password"),
    "login not wanted": (
        lambda s: s.settings(security="sasl_plaintext", username="alice", password=SECRET),
        "no_login",
        "and kafka.security is sasl_plaintext; set it to plaintext",
    ),
    "no TLS": (lambda s: s.settings("TLS"), "tls_expected", "set kafka.security to ssl"),
    "TLS not wanted": (lambda s: s.settings(security="ssl"), "no_tls", "and kafka.security is ssl; set it to plaintext"),
    "TLS not wanted, with login": (
        lambda s: s.login(security="sasl_ssl"),
        "no_tls",
        "kafka.security is sasl_ssl; set it to sasl_plaintext",
    ),
    "unknown authority": (lambda s: s.settings("TLS", security="ssl"), "certificate", "name the file of its authority in kafka.ca_file"),
    "another name": (
        lambda s: s.settings("TLS", "localhost", security="ssl", ca_file=s.certificate.authority),
        "certificate",
        "is not for localhost",
    ),
    "no file of an authority": (
        lambda s: s.settings("TLS", security="ssl", ca_file="/nowhere.pem"),
        "bad_ca_file",
        "kafka.ca_file: /nowhere.pem cannot be used (No such file or directory)",
    ),
    "a file that is no authority": (
        lambda s: s.settings("TLS", security="ssl", ca_file=__file__),
        "bad_ca_file",
        "holds no certificate in PEM form",
    ),
    "controller": (
        lambda s: KafkaSettings(bootstrap=f"{LOOPBACK}:{s.kafka.controller_port}"),
        "wrong_port",
        "is a port of a Kafka controller, not of a broker; correct --kafka or kafka.bootstrap",
    ),
    "advertised listener away": (lambda s: s.settings("AWAY"), "advertised_listener", "correct advertised.listeners"),
    "advertised listener unknown": (lambda s: s.settings("UNKNOWN"), "advertised_listener", "to use kafka.invalid:9092, which cannot be"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_setting_is_named_with_its_mend(secured: Secured, kind: str) -> None:
    make, code, said = WRONG[kind]
    settings = make(secured)
    began = time.monotonic()
    problem = broker_problem(settings)
    assert problem is not None
    assert time.monotonic() - began < 5
    assert (problem.code, problem.lasting) == (code, True)
    assert said in problem.text
    assert SECRET not in problem.text
    with pytest.raises(WrongBrokerError) as error:
        ensure_topics(settings)
    assert str(error.value) == problem.text


def test_reading_and_sending_say_the_same(secured: Secured) -> None:
    wrong = secured.login(password="no")
    with pytest.raises(WrongBrokerError, match="refuses the login"):
        LogReader(wrong)
    with pytest.raises(WrongBrokerError, match="refuses the login"), RecordSender(wrong) as sender:
        sender.send("chunks.text", b"k", b"v", [])


async def test_another_server_and_none_are_told_apart(redis_url: str, triton_server: TritonServer) -> None:
    redis_port = int(redis_url.rpartition(":")[2].partition("/")[0])
    ports = {
        redis_port: ("wrong_port", "is a Redis, not Kafka; correct --kafka or kafka.bootstrap"),
        triton_server.ports.grpc: ("wrong_port", "is a gRPC server, not Kafka"),
        triton_server.ports.http: ("wrong_port", "is an HTTP server, not Kafka"),
        free_port(): ("refused", "start it, or correct --kafka or kafka.bootstrap"),
    }
    for port, (code, said) in ports.items():
        problem = await asyncio.to_thread(broker_problem, KafkaSettings(bootstrap=f"{LOOPBACK}:{port}"))
        assert problem is not None
        assert (problem.code, problem.lasting) == (code, code == "wrong_port")
        assert said in problem.text
    unknown = broker_problem(KafkaSettings(bootstrap="kafka.invalid:9092"))
    assert unknown is not None
    assert (unknown.code, unknown.lasting) == ("unknown_host", False)


def test_one_address_of_several_is_enough(tansu_bootstrap: str) -> None:
    assert broker_problem(KafkaSettings(bootstrap=f"{LOOPBACK}:{free_port()},{tansu_bootstrap}")) is None


class OldBroker(socketserver.BaseRequestHandler):
    """Answers the first request as Kafka 0.10.2: records of its newest version have no headers."""

    def handle(self) -> None:
        request = self.request.recv(512)
        (correlation,) = struct.unpack_from(">i", request, 8)
        body = struct.pack(">ihi9h", correlation, 0, 3, 0, 0, 2, 3, 0, 2, 18, 0, 0)
        self.request.sendall(struct.pack(">i", len(body)) + body)


def test_a_broker_that_is_too_old_is_named() -> None:
    with socketserver.ThreadingTCPServer((LOOPBACK, 0), OldBroker) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        problem = broker_problem(KafkaSettings(bootstrap=f"{LOOPBACK}:{server.server_address[1]}"))
        server.shutdown()
    assert problem is not None
    assert (problem.code, problem.lasting) == ("too_old", True)
    assert "is older than 0.11" in problem.text


def test_rights_that_are_missing_are_named(secured: Secured) -> None:
    prefix = "acl."
    topics = Topics(prefix)
    ensure_topics(secured.settings(topic_prefix=prefix))
    worker = secured.login("bob", topic_prefix=prefix, group="acl-workers")
    denied = access_problems(worker)
    assert [(problem.code, problem.lasting) for problem in denied] == [
        ("topic_denied", True),
        ("topic_denied", True),
        ("group_denied", True),
    ]
    assert denied[0].text.endswith(
        "does not allow this user DESCRIBE and READ on acl.chunks.text, acl.chunks.audio, acl.chunks.video, acl.sessions: add these ACLs"
    )
    assert "DESCRIBE and WRITE on acl.scores, acl.explanations" in denied[1].text
    assert denied[2].text.endswith("does not allow this user the group acl-workers: give it READ on the group, or correct kafka.group")
    for name in topics.inputs:
        secured.allow("bob", ResourceType.TOPIC, name, ACLOperation.READ)
    for name in topics.outputs:
        secured.allow("bob", ResourceType.TOPIC, name, ACLOperation.WRITE)
    problems_once(worker, ["group_denied"])
    with pytest.raises(WrongBrokerError, match="the group acl-workers: give it READ on the group"):
        ensure_topics(worker)
    secured.allow("bob", ResourceType.GROUP, "acl-workers", ACLOperation.READ)
    problems_once(worker, [])
    assert ensure_topics(worker).created == ()
    with pytest.raises(WrongBrokerError, match=r"does not allow this user WRITE on acl\.chunks\.text"):
        ensure_topics(worker, Use.SEND)


def test_topics_that_are_missing_and_may_not_be_created_are_named(secured: Secured) -> None:
    prefix = "none."
    for name in (*Topics(prefix).inputs, *Topics(prefix).outputs):
        secured.allow("alice", ResourceType.TOPIC, name, ACLOperation.READ, ACLOperation.WRITE)
    secured.allow("alice", ResourceType.GROUP, "none", ACLOperation.READ)
    worker = secured.login(topic_prefix=prefix, group="none")
    (missing,) = problems_once(worker, ["topics_missing"])
    assert not missing.serious
    assert "this user may not create topics in the cluster: create them" in missing.text
    with pytest.raises(WrongBrokerError, match="give it CREATE, DESCRIBE, READ and WRITE on the topics that begin with"):
        ensure_topics(worker)


def test_more_replicas_than_brokers_are_refused(secured: Secured) -> None:
    settings = secured.settings(topic_prefix="replicas.", replication=3)
    with pytest.raises(WrongBrokerError, match=r"kafka\.replication is 3, but the cluster at .* has 1 broker: lower it") as error:
        ensure_topics(settings)
    assert [problem.text for problem in access_problems(settings) if problem.serious] == [str(error.value)]


def test_topics_that_lose_chunks_are_refused_and_others_are_remarked(secured: Secured) -> None:
    prefix = "odd."
    topics = Topics(prefix)
    admin = KafkaAdminClient(bootstrap_servers=secured.kafka.bootstrap)
    one = {"num_partitions": 1, "replication_factor": 1}
    admin.create_topics({name: one for name in (*topics.inputs, *topics.outputs) if name not in {topics.scores, topics.sessions}})
    admin.create_topics({topics.scores: {**one, "configs": {"cleanup.policy": "compact"}}})
    admin.create_topics({topics.sessions: {**one, "configs": {"max.message.bytes": "20000"}}})
    admin.wait_for_topics([*topics.inputs, *topics.outputs])
    settings = secured.settings(topic_prefix=prefix)
    notes: list[str] = []
    ensure_topics(settings, on_note=lambda note: notes.append(note.code))
    assert notes == ["few_partitions", "compaction_of_results", "small_messages", "retention_differs"]
    texts = {problem.code: problem.text for problem in access_problems(settings)}
    assert "have 1 partition, and kafka.partitions is 6: no more than 1 worker can share the load" in texts["few_partitions"]
    assert "the topic odd.sessions has max.message.bytes below" in texts["small_messages"]
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "odd.chunks.audio", configs={"cleanup.policy": "compact"})])
    admin.close()
    problems_once(settings, ["few_partitions", "compaction", "compaction_of_results", "small_messages", "retention_differs"])
    with pytest.raises(WrongBrokerError, match=r"the topic odd\.chunks\.audio has cleanup\.policy=compact"):
        ensure_topics(settings)


def test_a_chunk_that_the_topic_refuses_as_too_large_is_one_sentence(secured: Secured) -> None:
    settings = secured.settings(topic_prefix="small.")
    admin = KafkaAdminClient(bootstrap_servers=secured.kafka.bootstrap)
    options = {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": "20000"}}
    admin.create_topics({"small.chunks.video": options})
    admin.close()
    sender = RecordSender(settings)
    sender.send("small.chunks.video", b"k", bytes(900_000), [])
    with pytest.raises(BrokerError, match=r"refuses a record as too large: set max\.message\.bytes of the topics"):
        sender.flush()


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (lambda s: s.login(password="no"), 3, "refuses the login"),
        (lambda s: s.settings("TLS"), 3, "expects TLS"),
        (lambda s: KafkaSettings(bootstrap=f"{LOOPBACK}:{free_port()}"), 1, "does not answer"),
    ],
    ids=["wrong password", "no TLS", "away"],
)
async def test_a_worker_says_one_line_within_5_s_and_exits(
    secured: Secured, server: RedisServer, make: Callable[[Secured], KafkaSettings], code: int, said: str, tmp_path: Path
) -> None:
    settings = Settings.model_validate({"redis": {"url": server.url}}).model_copy(update={"kafka": make(secured)})
    command = (sys.executable, "-m", "stream.cli", "worker")
    process = await asyncio.create_subprocess_exec(*command, env=child_environment(settings), stderr=asyncio.subprocess.PIPE)
    began = time.monotonic()
    _, errors = await process.communicate()
    lines = errors.decode().splitlines()
    assert (process.returncode, len(lines)) == (code, 1), lines
    assert said in lines[0]
    assert SECRET not in lines[0]
    assert time.monotonic() - began < 50


def kafka_events(log: Path, name: str) -> list[dict[str, Any]]:
    """The lines of a worker's log with an event about Kafka."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name and line["service"] == "kafka"]


@asynccontextmanager
async def logged_worker(settings: Settings, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker, killed at the end of the block unless it has ended. It logs into the file, and writes ``.ready`` beside it."""
    log.with_suffix(".ready").unlink(missing_ok=True)
    command = (sys.executable, "-m", "stream.cli", "worker", "--ready-file", str(log.with_suffix(".ready")))
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(*command, env=child_environment(settings), stdout=file, stderr=file)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_group_that_refuses_the_worker_ends_it_with_one_sentence(secured: Secured, server: RedisServer, tmp_path: Path) -> None:
    """aiokafka only logs it once, and waits for ever."""
    settings = Settings.model_validate({"redis": {"url": server.url}, "log_format": "json"})
    settings = settings.model_copy(update={"kafka": secured.settings(topic_prefix="short.", group="short", session_timeout_s=2)})
    log = tmp_path / "worker.log"
    async with logged_worker(settings, log) as worker:
        assert await asyncio.wait_for(worker.wait(), 30) == 3
    (said,) = kafka_events(log, "service_unusable")
    assert (said["code"], said["then"]) == ("refused_request", "this does not pass by itself")
    assert "does not allow kafka.session_timeout_s: 2 is outside of its group.min.session.timeout.ms" in said["what"]
    assert log.read_text().splitlines()[-1] == f"{said['what']}; the worker has stopped, and nothing is lost"
    assert "Traceback" not in log.read_text()


async def ready_answer(settings: Settings) -> dict[str, Any]:
    """The answer of ``/ready``."""
    async with ClientSession() as client, client.get(f"http://{LOOPBACK}:{settings.health.port}/ready") as answer:
        return {"status": answer.status, **await answer.json()}


async def test_rights_that_are_taken_away_in_mid_run_lose_nothing(
    secured: Secured, server: RedisServer, triton_server: TritonServer, tmp_path: Path
) -> None:
    """A worker that may not write waits. One that may not read, or may not be in its group, ends in order: the next one goes on."""
    prefix, factory, log = "taken.", FakeWorker(), tmp_path / "worker.log"
    topics = Topics(prefix)
    settings = Settings.model_validate(
        {"redis": {"url": server.url}, "log_format": "json", "triton": {"url": triton_server.grpc_url}, "health": {"port": free_port()}}
    )
    kafka = secured.login("dora", topic_prefix=prefix, group="taken", session_timeout_s=6, partitions=1, fetch_max_wait_ms=20)
    settings = settings.model_copy(update={"kafka": kafka})
    ensure_topics(secured.settings(topic_prefix=prefix, partitions=1))
    for name in topics.inputs:
        secured.allow("dora", ResourceType.TOPIC, name, ACLOperation.READ)
    for name in topics.outputs:
        secured.allow("dora", ResourceType.TOPIC, name, ACLOperation.WRITE)
    secured.allow("dora", ResourceType.GROUP, "taken", ACLOperation.READ)
    problems_once(kafka, [])
    unwritten, unread, groupless = unique_sessions(3)
    producer, store = KafkaProducer(**kafka_options(secured.settings())), RedisSink(settings.redis)

    def first_half(session: str) -> None:
        send(producer, prefix, factory.event(START, session), *(factory.words(seq, session=session) for seq in range(SECONDS // 2)))

    def second_half(session: str) -> None:
        send(producer, prefix, *(factory.words(seq, session=session) for seq in range(SECONDS // 2, SECONDS)))
        send(producer, prefix, factory.event(END, session))

    async def ends(session: str) -> list[int]:
        (windows,) = await finals(store, [session], 30)
        return [end_ms for end_ms, _ in windows]

    def codes() -> list[str]:
        return [event["code"] for event in kafka_events(log, "service_unusable")]

    expected = [end_ms for end_ms, _ in EXPECTED]
    async with logged_worker(settings, log) as worker:
        await until(log.with_suffix(".ready").exists, 60)
        secured.forbid("dora", ResourceType.TOPIC, topics.scores)
        problems_once(kafka, ["topic_denied"])
        first_half(unwritten)
        second_half(unwritten)
        await until(lambda: codes() == ["topic_denied"], 30)
        answer = await ready_answer(settings)
        assert (answer["status"], answer["services"]["kafka"]["code"]) == (503, "topic_denied")
        secured.allow("dora", ResourceType.TOPIC, topics.scores, ACLOperation.WRITE)
        assert await ends(unwritten) == expected
        await until(lambda: len(kafka_events(log, "service_usable")) == 1, 30)
        first_half(unread)
        await until(lambda: len(read_topic(secured.settings(), topics.scores)) > len(expected), 30)
        secured.forbid("dora", ResourceType.TOPIC, topics.chunks(Modality.TEXT))
        assert await asyncio.wait_for(worker.wait(), 30) == 3
    second_half(unread)
    assert codes() == ["topic_denied", "topic_denied"]
    assert "does not allow this user what it asks for (TopicAuthorizationFailedError, taken.chunks.text): give it" in log.read_text()
    secured.allow("dora", ResourceType.TOPIC, topics.chunks(Modality.TEXT), ACLOperation.READ)
    problems_once(kafka, [])
    async with logged_worker(settings, log) as worker:
        assert await ends(unread) == expected
        first_half(groupless)
        await until(lambda: len(read_topic(secured.settings(), topics.scores)) > 2 * len(expected), 30)
        secured.forbid("dora", ResourceType.GROUP, "taken")
        assert await asyncio.wait_for(worker.wait(), 30) == 3
    second_half(groupless)
    assert codes() == ["topic_denied", "topic_denied", "group_denied"]
    assert (
        log.read_text()
        .splitlines()[-1]
        .endswith("give it READ on the group, or correct kafka.group; the worker has stopped, and nothing is lost")
    )
    secured.allow("dora", ResourceType.GROUP, "taken", ACLOperation.READ)
    problems_once(kafka, [])
    async with logged_worker(settings, log) as worker:
        assert await ends(groupless) == expected
        worker.terminate()
        assert await asyncio.wait_for(worker.wait(), 40) == 0
    assert [await ends(session) for session in (unwritten, unread)] == [expected, expected]
    contents = {(dict(record.headers)["ce_id"], record.value) for record in read_topic(secured.settings(), topics.scores)}
    assert len(contents) == 3 * len(expected)
    assert "Traceback" not in log.read_text()
    assert SECRET not in log.read_text()
    producer.close()
    await store.close()


async def test_a_worker_says_once_that_kafka_is_away_or_refuses_the_login_and_once_that_it_is_back(
    secured: Secured, server: RedisServer, tmp_path: Path
) -> None:
    """It stands last: it kills the broker. The password is changed meanwhile, and then changed back."""
    settings = Settings.model_validate({"redis": {"url": server.url}, "log_format": "json"})
    kafka = secured.login("erin", topic_prefix="outage.", group="outage")
    settings, log = settings.model_copy(update={"kafka": kafka}), tmp_path / "worker.log"
    async with logged_worker(settings, log) as worker:
        await until(log.with_suffix(".ready").exists, 60)
        secured.set_password("erin", "another")
        secured.kafka.kill()
        await until(lambda: len(kafka_events(log, "service_unusable")) == 1, 30)
        await secured.kafka.start()
        await until(lambda: len(kafka_events(log, "service_unusable")) == 2, 30)
        secured.set_password("erin", SECRET)
        await until(lambda: bool(kafka_events(log, "service_usable")), 60)
        worker.terminate()
        assert await asyncio.wait_for(worker.wait(), 40) == 0
    away, refused = kafka_events(log, "service_unusable")
    assert (away["level"], away["code"]) == ("error", "refused")
    assert away["what"] == f"Kafka does not answer at {kafka.bootstrap}; start it, or correct --kafka or kafka.bootstrap"
    assert (refused["level"], refused["code"]) == ("error", "login_refused")
    assert "refuses the login: correct kafka.username and kafka.password" in refused["what"]
    assert "Traceback" not in log.read_text()
    libraries = [line for line in log.read_text().splitlines() if '"logger": "aiokafka' in line]
    assert len(libraries) < 60
