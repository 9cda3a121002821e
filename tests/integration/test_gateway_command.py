"""`sentistream gateway` as a user runs it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from stream.config.service_settings import RedisSettings
from stream.local.redis_server import RedisServer
from stream.sinks.redis_sink import RedisSink
from tests.fakes.results import SESSION, make_score
from tests.support.finals import finalise
from tests.support.gateways import bearer, events, gateway_settings

Command = Callable[..., Awaitable[Process]]


@pytest.fixture
async def command(server: RedisServer) -> AsyncIterator[Command]:
    """Starts `sentistream gateway` with arguments on the test's Redis; after a failed test it is killed."""
    started: list[Process] = []

    async def start(*arguments: str, **variables: str) -> Process:
        environment = {**os.environ, "SENTISTREAM_REDIS__URL": server.url, **variables}
        line = (sys.executable, "-m", "stream.cli", "gateway", *arguments)
        started.append(await asyncio.create_subprocess_exec(*line, stdout=PIPE, stderr=PIPE, env=environment))
        return started[-1]

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
def redis_settings(server: RedisServer) -> RedisSettings:
    return gateway_settings(server.url).redis


async def address_in(file: Path) -> str:
    async with asyncio.timeout(60):
        while not file.exists() or not file.read_text().endswith("\n"):
            await asyncio.sleep(0.05)
    return file.read_text().strip().rstrip("/")


async def end(process: Process) -> tuple[int | None, str, str]:
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_ends_in_order_although_viewers_watch(command: Command, tmp_path: Path, number: signal.Signals) -> None:
    process = await command("--port", "0", "--ready-file", str(tmp_path / "ready"))
    address = await address_in(tmp_path / "ready")
    async with events(address) as stream:
        await stream.named("hello")
        process.send_signal(number)
        code, output, errors = await end(process)
        assert code == 0
        with pytest.raises(EOFError):
            await stream.named("never")
    assert f"live page: {address}/" in output
    assert "Traceback" not in errors


async def test_neither_tokens_nor_sessions_are_in_its_log(command: Command, tmp_path: Path, sink: RedisSink) -> None:
    await finalise(sink, make_score(4000))
    made = await command("token", "wall", "--role", "wallboard", "--tenant", "default")
    code, entry, told = await end(made)
    assert code == 0
    token, *lines = entry.splitlines()
    assert "shown this once" in told
    access = tmp_path / "access.yaml"
    access.write_text("\n".join(["tokens:", *lines]) + "\n")
    ready = tmp_path / "ready"
    process = await command(
        *("--port", "0", "--ready-file", str(ready)), SENTISTREAM_GATEWAY__ACCESS=str(access), SENTISTREAM_LOG_LEVEL="debug"
    )
    async with httpx.AsyncClient(base_url=await address_in(ready), verify=False) as client:
        for headers in (bearer(token), bearer(token + "x"), {}):
            for path in ("/me", "/sessions", f"/sessions/{SESSION}", f"/sessions/{SESSION}/windows?cursor=%00", "/none"):
                await client.get(f"/api/v1{path}", headers=headers)
        assert (await client.get("/api/v1/me", headers=bearer(token))).json()["name"] == "wall"
        login = await client.post("/api/v1/login", json={"token": token}, headers={"Sec-Fetch-Site": "same-origin"})
        assert login.status_code == 200
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(login.headers["set-cookie"].split("; "))
    process.send_signal(signal.SIGTERM)
    code, output, errors = await end(process)
    assert code == 0
    secret = token.rpartition("~")[2]
    for text in (secret, login.cookies["sentistream_session"], SESSION.session, "argon2id"):
        assert text not in output + errors


@pytest.mark.parametrize(
    ("variables", "content", "code", "message"),
    [
        ({}, None, 1, "is taken; choose another with --port or gateway.port"),
        ({"SENTISTREAM_GATEWAY__HOST": "192.0.2.77"}, "tokens:\n", 1, "cannot listen on 192.0.2.77"),
        ({}, "tokens:\n  wall: {role: king, tenants: acme, hash: x}\n", 2, "line 2: token 'wall': there is no such role"),
    ],
)
async def test_what_is_wrong_is_one_sentence(
    command: Command, tmp_path: Path, variables: dict[str, str], content: str | None, code: int, message: str
) -> None:
    if content is not None:
        (tmp_path / "access.yaml").write_text(content)
        variables = {**variables, "SENTISTREAM_GATEWAY__ACCESS": str(tmp_path / "access.yaml")}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = await command("--port", "0" if variables else str(taken.getsockname()[1]), **variables)
        found, _, errors = await end(process)
    assert found == code
    assert message in errors
    assert "Traceback" not in errors
