"""Real servers in the states that people meet: each is named, workers wait without losing a window, and no secret is shown."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from typer.testing import CliRunner

from stream.cli.main import app
from stream.config.service_settings import RedisSettings
from stream.domain.delivery import FinaliseOutcome
from stream.local.environment import child_environment
from stream.local.ports import LOOPBACK, free_port
from stream.sinks.examine import Examination, examine
from stream.sinks.problems import SETTING, RedisProblem
from stream.sinks.redis_sink import RedisSink
from tests.fakes.results import SESSION, make_score
from tests.support.finals import finalise
from tests.support.redis_servers import RedisNode, documented_rights, redis_node
from tests.support.settings import own_settings

CANARY = "can4ry"
"""In every password and user below; no output may hold it."""
RIGHTS = documented_rights()


def settings_for(url: str, timeout_s: float = 1.0) -> RedisSettings:
    return RedisSettings(url=SecretStr(url), timeout_s=timeout_s)


async def problem_of(url: str, *, writes: bool = True) -> RedisProblem | None:
    found = await examine(settings_for(url), writes=writes)
    if found.problem is None:
        return None
    sentence = found.problem.sentence(found.address)
    assert CANARY not in sentence
    assert sentence.startswith(f"Redis at {found.address} ")
    return found.problem.problem


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisNode]:
    """A server with a password and with users of different rights."""
    users = "".join(
        f"user {CANARY}-{name} on >{CANARY} {rights}\n"
        for name, rights in {
            "documented": RIGHTS,
            "keys": "~other:* &* +@all",
            "channels": "~* resetchannels +@all",
            "commands": "~* &* +@all -evalsha -eval",
            "inside": "~* &* +@all -xadd",
            "reader": "~sentistream:* &* +@read +@pubsub +@transaction +@connection",
        }.items()
    )
    node = RedisNode(tmp_path_factory.mktemp("guarded"), config=f'save ""\nuser default on >{CANARY} ~* &* +@all\n{users}')
    asyncio.run(node.start())
    yield node
    node.process.kill()


@pytest.mark.parametrize(
    ("login", "end", "problem"),
    [
        (f":{CANARY}@", "0", None),
        (f"{CANARY}-documented:{CANARY}@", "0", None),
        ("", "0", RedisProblem.PASSWORD_NEEDED),
        (f":{CANARY}-wrong@", "0", RedisProblem.WRONG_PASSWORD),
        (f"{CANARY}-nobody:{CANARY}@", "0", RedisProblem.WRONG_PASSWORD),
        (f":{CANARY}@", "99", RedisProblem.NO_SUCH_DATABASE),
        (f"{CANARY}-keys:{CANARY}@", "0", RedisProblem.NO_PERMISSION),
        (f"{CANARY}-channels:{CANARY}@", "0", RedisProblem.NO_PERMISSION),
        (f"{CANARY}-commands:{CANARY}@", "0", RedisProblem.NO_PERMISSION),
        (f"{CANARY}-inside:{CANARY}@", "0", RedisProblem.NO_PERMISSION),
        (f"{CANARY}-reader:{CANARY}@", "0", RedisProblem.NO_PERMISSION),
    ],
)
async def test_users_passwords_and_databases(guarded: RedisNode, login: str, end: str, problem: RedisProblem | None) -> None:
    assert await problem_of(f"redis://{login}{guarded.address}/{end}") is problem


async def test_a_reader_needs_fewer_rights(guarded: RedisNode) -> None:
    assert await problem_of(f"redis://{CANARY}-reader:{CANARY}@{guarded.address}/0", writes=False) is None


async def test_what_is_missing_is_named(guarded: RedisNode) -> None:
    async def detail(user: str) -> str:
        found = await examine(settings_for(f"redis://{CANARY}-{user}:{CANARY}@{guarded.address}/0"), writes=True)
        assert found.problem is not None
        return found.problem.found

    assert "the keys sentistream:*" in await detail("keys")
    assert "the channels sentistream:" in await detail("channels")
    assert "the command EVALSHA" in await detail("commands")
    assert "the command XADD" in await detail("inside") or "XADD" in await detail("inside")


async def test_servers_in_every_state(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:

        async def server(*options: str, config: str | None = None) -> RedisNode:
            return await stack.enter_async_context(redis_node(tmp_path, *options, config=config))

        plain = await server()
        replica = await server("--replicaof", f"{LOOPBACK} {plain.port}")
        orphan = await server("--replicaof", f"{LOOPBACK} {free_port()}", "--replica-serve-stale-data", "no")
        full = await server("--maxmemory", "100kb")
        alone = await server("--min-replicas-to-write", "1")
        renamed = await server("--rename-command", "EVALSHA", "")
        slotless = await server("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
        busy = await server("--busy-reply-threshold", "50")
        crowded = await server("--maxclients", "1")
        unsaved = await server("--save", "3600 1")
        wrong_kind = await server()

        shutil.rmtree(unsaved.log.parent)
        await unsaved.call("SET", "a", "1")
        await unsaved.call("BGSAVE")
        await wrong_kind.call("SET", "sentistream:sessions", "1")
        async with asyncio.timeout(20):
            while "bgsave_status': 'err" not in str(await unsaved.call("INFO", "persistence")):
                await asyncio.sleep(0.05)
        _, running = await asyncio.open_connection(LOOPBACK, busy.port)
        running.write(b'EVAL "while true do end" 0\r\n')
        _, only = await asyncio.open_connection(LOOPBACK, crowded.port)
        await asyncio.sleep(0.3)

        assert {name: await problem_of(node.url) for name, node in locals().items() if isinstance(node, RedisNode)} == {
            "plain": None,
            "replica": RedisProblem.READ_ONLY,
            "orphan": RedisProblem.PRIMARY_AWAY,
            "full": RedisProblem.OUT_OF_MEMORY,
            "alone": RedisProblem.TOO_FEW_REPLICAS,
            "renamed": RedisProblem.COMMAND_MISSING,
            "slotless": RedisProblem.CLUSTER_DOWN,
            "busy": RedisProblem.BUSY,
            "crowded": RedisProblem.TOO_MANY_CLIENTS,
            "unsaved": RedisProblem.CANNOT_SAVE,
            "wrong_kind": RedisProblem.KEYS_IN_USE,
        }
        assert await problem_of(replica.url, writes=False) is None
        assert await problem_of(f"redis://{slotless.address}/1") is RedisProblem.NO_SUCH_DATABASE
        assert (await risks(f"redis://:{CANARY}@{plain.address}/0")) == ["password_not_needed"]
        await plain.call("CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", "volatile-lru")
        assert await risks(plain.url) == ["eviction"]
        for writer in (running, only):
            writer.close()


async def risks(url: str) -> list[str]:
    found: Examination = await examine(settings_for(url), writes=True)
    assert found.problem is None
    return [risk.code for risk in found.risks]


@contextlib.asynccontextmanager
async def listener(answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], **options: Any) -> AsyncIterator[str]:
    """``HOST:PORT`` of a server that answers in its own way."""
    server = await asyncio.start_server(answer, LOOPBACK, 0, **options)
    async with server:
        yield f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"


async def pump_both(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Forward a connection to a port of this machine."""
    there_reader, there_writer = await asyncio.open_connection(LOOPBACK, port)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
        sink.close()

    await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))


async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    writer.close()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.close()


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await reader.read(-1)
    writer.close()


async def be_old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(100):
        writer.write(b"-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n")


async def protect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set\r\n")
    await reader.read(100)
    writer.close()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (speak_http, RedisProblem.NOT_REDIS),
        (hang_up, RedisProblem.HANGS_UP),
        (hang, RedisProblem.NO_ANSWER),
        (be_old, RedisProblem.TOO_OLD),
        (protect, RedisProblem.PROTECTED),
    ],
)
async def test_servers_that_answer_otherwise(answer: Any, problem: RedisProblem) -> None:
    async with listener(answer) as address:
        assert await problem_of(f"redis://:{CANARY}@{address}/0") is problem


async def test_a_kafka_broker_and_addresses_without_a_server(tansu_bootstrap: str, tmp_path: Path) -> None:
    assert await problem_of(f"redis://{tansu_bootstrap}/0") in (RedisProblem.NOT_REDIS, RedisProblem.HANGS_UP)
    assert await problem_of(f"redis://{LOOPBACK}:{free_port()}/0") is RedisProblem.AWAY
    assert await problem_of("redis://nobody.invalid:6379/0") is RedisProblem.HOST_UNKNOWN
    assert await problem_of(f"unix://{tmp_path}/nothing.sock") is RedisProblem.AWAY


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate of ``localhost`` and its key."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key), "-out", str(certificate))
    subprocess.run([*command, *subject], check=True, capture_output=True)
    return certificate, key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here to make a certificate with")
async def test_tls_on_one_side_only_and_certificates(guarded: RedisNode, tmp_path: Path) -> None:
    certificate, key = await asyncio.to_thread(make_certificate, tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pump_both(reader, writer, guarded.port)

    async with listener(forward, ssl=context) as address:
        login, port = f":{CANARY}@", address.rpartition(":")[2]
        assert await problem_of(f"redis://{login}{address}/0") is RedisProblem.TLS_NEEDED
        assert await problem_of(f"rediss://{login}{address}/0") is RedisProblem.CERTIFICATE
        assert await problem_of(f"rediss://{login}{address}/0?ssl_ca_certs={certificate}") is RedisProblem.CERTIFICATE
        assert await problem_of(f"rediss://{login}localhost:{port}/0?ssl_ca_certs={certificate}") is None
        assert await problem_of(f"rediss://{login}{address}/0?ssl_cert_reqs=none") is None
        assert await problem_of(f"rediss://{login}{guarded.address}/0") is RedisProblem.NO_TLS


async def test_a_unix_socket(tmp_path: Path) -> None:
    async with redis_node(tmp_path, "--unixsocket", str(tmp_path / "redis.sock")):
        assert await problem_of(f"unix://{tmp_path}/redis.sock") is None
        assert await problem_of(f"unix://{tmp_path}/redis.sock?db=99") is RedisProblem.NO_SUCH_DATABASE


@pytest.mark.parametrize(
    ("broken", "mended", "code"),
    [
        (["CONFIG SET requirepass changed"], ["CONFIG SET requirepass {password}"], "wrong_password"),
        (["ACL SETUSER default -@write"], ["ACL SETUSER default +@all"], "no_permission"),
        (["ACL SETUSER default resetkeys"], ["ACL SETUSER default allkeys"], "no_permission"),
        (["CONFIG SET maxmemory 1"], ["CONFIG SET maxmemory 0"], "out_of_memory"),
        (["CONFIG SET min-replicas-to-write 1"], ["CONFIG SET min-replicas-to-write 0"], "too_few_replicas"),
        ([f"REPLICAOF {LOOPBACK} 1"], ["REPLICAOF NO ONE"], "read_only"),
        (["DEL {scores}", "SET {scores} x"], ["DEL {scores}"], "keys_in_use"),
    ],
)
async def test_a_worker_in_mid_run_waits_and_loses_nothing(tmp_path: Path, broken: list[str], mended: list[str], code: str) -> None:
    words = {"password": CANARY, "scores": f"sentistream:{{{SESSION}}}:customer:scores"}
    async with redis_node(tmp_path, "--requirepass", CANARY) as node:
        sink = RedisSink(settings_for(f"redis://:{CANARY}@{node.address}/0"), logs=False)
        assert await finalise(sink, make_score(4000)) is FinaliseOutcome.ACCEPTED
        assert await sink.problem() is None
        async with Redis(host=LOOPBACK, port=node.port, password=CANARY, single_connection_client=True) as admin:
            for command in (*broken, "CLIENT KILL TYPE normal"):
                await admin.execute_command(*(word.format(**words) for word in command.split()))  # type: ignore[no-untyped-call]
            writing = asyncio.create_task(finalise(sink, make_score(6000, 2.0)))
            await asyncio.sleep(0.5)
            assert not writing.done()
            problem = await sink.problem()
            assert problem is not None
            assert (problem.code, CANARY in problem.text) == (code, False)
            for command in mended:
                await admin.execute_command(*(word.format(**words) for word in command.split()))  # type: ignore[no-untyped-call]
        assert await asyncio.wait_for(writing, 10) is FinaliseOutcome.ACCEPTED
        assert await sink.problem() is None
        assert [final.end_ms for final in await sink.finals(SESSION)][-1] == 6000
        await sink.close()


async def test_after_a_failover_behind_one_address_old_connections_are_not_used(tmp_path: Path) -> None:
    async with redis_node(tmp_path) as old, redis_node(tmp_path) as new:
        leads_to = old

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await pump_both(reader, writer, leads_to.port)

        async with listener(forward) as address:
            sink = RedisSink(settings_for(f"redis://{address}/0"), logs=False)
            assert set(await asyncio.gather(*(finalise(sink, make_score(4000, track=track)) for track in "abcd"))) == {
                FinaliseOutcome.ACCEPTED
            }
            await old.call("REPLICAOF", LOOPBACK, new.port)
            leads_to = new
            assert await asyncio.wait_for(finalise(sink, make_score(6000, track="a")), 10) is FinaliseOutcome.ACCEPTED
            assert await new.call("XLEN", f"sentistream:{{{SESSION}}}:a:scores") == 1
            assert await sink.problem() is None
            await sink.close()


async def test_an_idle_worker_notices_what_would_make_its_writes_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.sinks.examine.TRY_EVERY_S", 0.0)
    async with redis_node(tmp_path) as node:
        sink = RedisSink(settings_for(node.url), logs=False)
        codes = []
        for command in (
            "PING",
            "CONFIG SET maxmemory 1",
            "CONFIG SET maxmemory 0",
            "ACL SETUSER default -evalsha",
            "ACL SETUSER default +@all",
        ):
            await node.call(*command.split())
            problem = await sink.problem()
            codes.append(problem and problem.code)
        assert codes == [None, "out_of_memory", None, "no_permission", None]
        assert await node.call("KEYS", "*") == []
        await sink.close()


async def test_a_worker_that_redis_refuses_ends_with_one_sentence(guarded: RedisNode, tansu_bootstrap: str) -> None:
    settings = own_settings("refused", tansu_bootstrap, f"redis://{CANARY}:{CANARY}@{guarded.address}/0")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stream.cli", "worker"),
        env=child_environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 3
    assert errors.decode().splitlines() == [f"Redis at {guarded.address} refuses the user and password; correct them in {SETTING}"]
    assert CANARY not in (out + errors).decode()


@pytest.mark.parametrize(
    "command", [["watch"], ["rebuild"], ["up", "--workers", "0"], ["demo"], ["doctor", "--json"], ["config", "check"], ["config", "show"]]
)
@pytest.mark.parametrize(
    ("url", "code", "sentence"),
    [
        ("redis://:{canary}/w#rd%@{address}/0", 2, "percent-encode"),
        ("{canary}@{address}", 2, "has no scheme; write redis://HOST:PORT/0"),
        ("redis://:{canary}x@{address}/0", 3, "refuses the user and password"),
        ("redis://:{canary}@{address}/99", 3, "has no database of that number"),
    ],
)
def test_every_command_says_it_in_one_sentence_and_shows_no_secret(
    guarded: RedisNode,
    tansu_bootstrap: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    url: str,
    code: int,
    sentence: str,
) -> None:
    monkeypatch.setenv("SENTISTREAM_KAFKA__BOOTSTRAP", tansu_bootstrap)
    given = url.format(canary=CANARY, address=guarded.address)
    if command == ["demo"]:
        (tmp_path / "call.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nHello.\n")
        command = ["demo", str(tmp_path / "call.vtt")]
    if command[0] in ("watch", "rebuild", "up", "demo"):
        command = [*command, "--redis", given]
    else:
        monkeypatch.setenv("SENTISTREAM_REDIS__URL", given)
    result = CliRunner().invoke(app, command)
    shown = " ".join((result.stdout + result.stderr).split())
    assert CANARY not in shown
    assert "Traceback" not in shown
    if command[0] == "config" and code == 3:
        assert result.exit_code == 0
        return
    assert result.exit_code == (1 if command[0] == "doctor" and code == 3 else code), shown
    assert sentence in shown
