"""The page of the API: every command and every program on it runs, and every route is on it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
from standardwebhooks import Webhook

from stream.config.project import PROJECT_ROOT
from stream.explain.session_summary import summarise
from stream.gateway.export.formats import COLUMNS
from stream.gateway.webhooks.messages import messages_for
from stream.gateway.webhooks.receivers import new_secret, read_receivers
from stream.gateway.webhooks.sender import signature_headers
from stream.local.redis_server import RedisServer
from stream.sinks.redis_sink import RedisSink
from tests.fakes.alerts import make_alert
from tests.fakes.results import SESSION, make_score
from tests.support.finals import finalise
from tests.support.gateways import gateway_settings, running_gateway

PAGE = (PROJECT_ROOT / "docs" / "api.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8080"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
async def address(server: RedisServer, sink: RedisSink) -> AsyncIterator[str]:
    for end_ms in (4000, 6000, 8000):
        await finalise(sink, make_score(end_ms, 0.5))
    await sink.put_summary(summarise(SESSION, 0, await sink.finals(SESSION)))
    async with running_gateway(gateway_settings(server.url)) as address:
        yield address


async def run(command: list[str], text: str, folder: Path, redis_url: str) -> str:
    environment = os.environ | {
        "PYTHONPATH": str(PROJECT_ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SENTISTREAM_REDIS__URL": redis_url,
        "SENTISTREAM_WEBHOOKS__RECEIVERS": str(folder / "receivers.yaml"),
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, text, cwd=folder, env=environment, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert process.returncode == 0, f"{text}\n{errors.decode()}"
    return output.decode()


async def test_every_command_runs(address: str, server: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "receivers.yaml").write_text(blocks("yaml")[0])
    (tmp_path / "crm.secret").write_text(new_secret())
    commands = blocks("sh")
    assert len(commands) >= 6
    outputs = [await run(["bash", "-ec"], text.replace(ADDRESS, address), tmp_path, server.url) for text in commands]
    assert '"session":"call-1"' in outputs[0]
    assert '"status":404' in outputs[1]
    assert "event: batch" in outputs[2]
    assert (tmp_path / "call-1.csv").read_text().count("\n") == 4
    assert (tmp_path / "call-1.vcon.json").read_text().startswith('{"vcon":"0.4.0"')
    assert "crm: 0 taken, 0 waiting, 0 dead" in outputs[4]
    assert (tmp_path / "contracts" / "asyncapi.json").exists()


async def test_every_program_runs(address: str, server: RedisServer, tmp_path: Path) -> None:
    programs = [text for text in blocks("python") if "def receive" not in text]
    first, second = [await run([sys.executable, "-c"], text.replace(ADDRESS, address), tmp_path, server.url) for text in programs]
    assert first == "customer 4000 0.5\n"
    assert "8000 neutral Because." in second
    assert "The gateway answers 404" in second


def test_the_receiver_on_the_page_takes_a_message_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "receivers.yaml").write_text(blocks("yaml")[0])
    secret = new_secret()
    (tmp_path / "crm.secret").write_text(secret)
    receivers = read_receivers(tmp_path / "receivers.yaml", private_addresses=False)
    ((_, message_id, message),) = messages_for(receivers, make_alert(), 1)
    headers = signature_headers((secret,), message_id, message.body)
    names: dict[str, object] = {}
    (program,) = (text for text in blocks("python") if "def receive" in text)
    exec(program, names)  # the program of the page
    receive, known = names["receive"], set[str]()
    assert callable(receive)
    assert [receive(message.body.encode(), headers, secret, known) for _ in range(2)] == [204, 204]
    assert capsys.readouterr().out == "alert.raised The customer is upset\n"
    assert receive(message.body.encode() + b" ", headers, secret, known) == 401
    Webhook(secret).verify(message.body, dict(headers))


async def test_every_route_and_every_column_is_on_the_page(address: str) -> None:
    async with httpx.AsyncClient(base_url=address) as client:
        document = msgspec.json.decode((await client.get("/api/v1/openapi.json")).content)
    paths = [path.removeprefix("/api/v1") for path in document["paths"]]
    assert [path for path in paths if path not in PAGE and f"`/{path.rpartition('/')[2]}`" not in PAGE] == []
    assert [column for column in COLUMNS if f"`{column}`" not in PAGE] == []
