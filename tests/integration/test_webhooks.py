"""Webhooks on a real Redis and a real receiver: signed, each result told once, through outages, restarts and a second gateway."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis
from standardwebhooks import Webhook
from typer.testing import CliRunner, Result

import stream.sinks.webhook_outbox
from stream.aio.backoff import Backoff
from stream.cli.main import app
from stream.config.gateway_settings import WebhookSettings
from stream.config.service_settings import RedisSettings
from stream.config.settings import Settings
from stream.domain.alert import AlertRecord, AlertState
from stream.domain.result import encode_record
from stream.explain.session_summary import summarise
from stream.gateway.webhooks import sender, service
from stream.gateway.webhooks.receivers import new_secret
from stream.gateway.webhooks.service import WebhookService
from stream.local.redis_server import RedisServer
from stream.sinks.connection import RedisConnection
from stream.sinks.keys import session_names, webhook_names
from stream.sinks.redis_sink import RedisSink
from stream.sinks.webhook_outbox import WebhookOutbox
from tests.fakes.alerts import make_alert
from tests.fakes.gateway import serving
from tests.fakes.results import SESSION, make_score
from tests.support import contracts
from tests.support.finals import finalise
from tests.support.gateways import running_gateway

SECRET = new_secret()
Respond = Callable[[int], web.Response]


class Receiver:
    """Takes messages, and answers as the test says.

    Attributes:
        taken: Id and content of each message that it answered with success, in order.
        asked: Number of attempts.
    """

    def __init__(self) -> None:
        self.taken: list[tuple[str, Any]] = []
        self.asked = 0
        self.respond: Respond = lambda _attempt: web.Response(status=204)
        self.secret = SECRET

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        content = Webhook(self.secret).verify(body, headers)
        assert contracts.problems("webhook", content) == []
        assert contracts.problems("webhook-headers", headers) == []
        answer = self.respond(self.asked)
        if answer.status < 300:
            self.taken.append((headers["webhook-id"], content))
        return answer

    @property
    def kinds(self) -> list[str]:
        return sorted(content["type"] for _, content in self.taken)

    async def has(self, number: int) -> None:
        """Wait for so many messages. One that a killed gateway did not note comes again, under its id."""
        await until(lambda: len({message_id for message_id, _ in self.taken}) >= number)
        assert len({message_id for message_id, _ in self.taken}) == number


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "RETRIES", Backoff(first_s=0.1, cap_s=0.2))
    monkeypatch.setattr(sender, "PAUSES", Backoff(first_s=0.05, cap_s=0.1))
    monkeypatch.setattr(sender, "IDLE_S", 0.05)
    monkeypatch.setattr(service, "COLLECT_EVERY_S", 0.05)
    monkeypatch.setattr(service, "RENEW_S", 0.2)
    monkeypatch.setattr(service, "RETRY_S", 0.2)
    monkeypatch.setattr(stream.sinks.webhook_outbox, "LEASE_MS", 1000)


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with serving(receiver.handle) as url:
        (tmp_path / "secret").write_text(SECRET)
        entry = {"name": "crm", "url": f"{url}/hook", "secret_file": "secret", "tenants": ["default"], "words": True}
        entry["events"] = ["alerts", "finals", "summaries"]
        (tmp_path / "receivers.yaml").write_text(json.dumps({"receivers": [entry]}))
        yield receiver


@pytest.fixture
def settings(redis_settings: RedisSettings, tmp_path: Path) -> Settings:
    webhooks = WebhookSettings(receivers=tmp_path / "receivers.yaml", private_addresses=True, timeout_s=1)
    return Settings(redis=redis_settings, webhooks=webhooks)


@asynccontextmanager
async def running(settings: Settings, *, killed: bool = False) -> AsyncIterator[asyncio.Task[None]]:
    """A gateway's webhooks. Killed ones leave the lease behind."""
    redis = RedisConnection(settings.redis, logs=False)
    hooks = WebhookService(settings, redis)
    task = asyncio.create_task(hooks.run())
    try:
        yield task
    finally:
        if killed:
            await redis.close()
        task.cancel()
        with suppress(asyncio.CancelledError, BaseExceptionGroup):
            await task
        await redis.close()


@asynccontextmanager
async def outbox_of(settings: Settings) -> AsyncIterator[WebhookOutbox]:
    redis = RedisConnection(settings.redis)
    yield WebhookOutbox(redis)
    await redis.close()


async def begun(redis: Redis) -> None:
    """Wait until results are followed."""
    async with asyncio.timeout(10):
        while not await redis.hexists("sentistream:{webhooks}:positions", "*"):
            await asyncio.sleep(0.02)


async def put_alert(redis: Redis, alert: AlertRecord) -> None:
    await redis.xadd(session_names(SESSION).alerts, {"record": encode_record(alert)})


def run_cli(settings: Settings, *arguments: str) -> Result:
    environment = {
        "SENTISTREAM_WEBHOOKS__RECEIVERS": str(settings.webhooks.receivers),
        "SENTISTREAM_WEBHOOKS__PRIVATE_ADDRESSES": "true",
        "SENTISTREAM_REDIS__URL": settings.redis.url.get_secret_value(),
    }
    return CliRunner().invoke(app, ["webhooks", *arguments], env=environment)


async def test_each_result_is_told_once_also_while_no_gateway_ran(
    settings: Settings, receiver: Receiver, sink: RedisSink, redis: Redis
) -> None:
    await finalise(sink, make_score(4000))
    async with running(settings):
        await begun(redis)
        await finalise(sink, make_score(6000, -1.0))
        await put_alert(redis, make_alert(6000))
        await receiver.has(2)
    await put_alert(redis, make_alert(6000, state=AlertState.CLEARED))
    await finalise(sink, make_score(8000))
    await sink.put_summary(summarise(SESSION, 0, await sink.finals(SESSION)))
    async with running(settings):
        await receiver.has(5)
        await asyncio.sleep(0.3)
    assert receiver.kinds == ["alert.cleared", "alert.raised", "session.ended", "window.final", "window.final"]
    finals = [content["data"] for _, content in receiver.taken if content["type"] == "window.final"]
    assert sorted(data["score"]["end_ms"] for data in finals) == [6000, 8000]
    assert all(data["explanation"]["window_id"] == data["score"]["window_id"] for data in finals)
    assert receiver.asked == 5


async def test_an_outage_of_the_receiver_loses_nothing(settings: Settings, receiver: Receiver, sink: RedisSink, redis: Redis) -> None:
    receiver.respond = lambda attempt: web.Response(status=500 if attempt <= 6 else 200)
    async with running(settings):
        await begun(redis)
        for end_ms in range(4000, 24_000, 2000):
            await finalise(sink, make_score(end_ms))
        await receiver.has(10)
        async with outbox_of(settings) as outbox:
            counts = await outbox.counts("crm")
    assert (counts.delivered, counts.waiting, counts.dead) == (10, 0, 0)
    assert counts.last_error == "it answers 500"


async def test_an_outage_of_redis_loses_nothing(
    settings: Settings, receiver: Receiver, sink: RedisSink, redis: Redis, server: RedisServer
) -> None:
    receiver.respond = lambda attempt: web.Response(status=503 if attempt < 3 else 200)
    async with running(settings):
        await begun(redis)
        await finalise(sink, make_score(4000))
        await asyncio.sleep(1.2)  # the append-only file is written every second
        await server.process.stop()
        await asyncio.sleep(0.3)
        await server.restart()
        await finalise(sink, make_score(6000))
        await receiver.has(2)


async def test_two_gateways_do_not_send_twice(settings: Settings, receiver: Receiver, sink: RedisSink, redis: Redis) -> None:
    end_ms = 2000
    async with running(settings):
        await begun(redis)
        async with running(settings, killed=True):
            for _ in range(5):
                await finalise(sink, make_score(end_ms := end_ms + 2000))
            await receiver.has(5)
    async with running(settings), running(settings):
        for _ in range(5):
            await finalise(sink, make_score(end_ms := end_ms + 2000))
        await receiver.has(10)
        await asyncio.sleep(0.5)
    assert receiver.asked == 10


async def test_a_killed_gateway_is_replaced(settings: Settings, receiver: Receiver, sink: RedisSink, redis: Redis) -> None:
    async with running(settings, killed=True):
        await begun(redis)
        await finalise(sink, make_score(4000))
        await receiver.has(1)
    await finalise(sink, make_score(6000))
    async with running(settings):
        await receiver.has(2)


async def test_a_receiver_that_is_gone_gets_nothing_until_it_is_replayed(
    settings: Settings, receiver: Receiver, sink: RedisSink, redis: Redis
) -> None:
    receiver.respond = lambda _attempt: web.Response(status=410)
    async with running(settings), outbox_of(settings) as outbox:
        await begun(redis)
        await finalise(sink, make_score(4000))
        await until(lambda: receiver.asked == 1)
        async with asyncio.timeout(10):
            while (await outbox.counts("crm")).gone_ms is None:
                await asyncio.sleep(0.02)
        await finalise(sink, make_score(6000))
        async with asyncio.timeout(10):
            while (await outbox.counts("crm")).dead < 2:
                await asyncio.sleep(0.02)
        assert receiver.asked == 1
        listed = await asyncio.to_thread(run_cli, settings, "list")
        assert "0 taken, 0 waiting, 2 dead. It answered 410 (gone)" in listed.stdout
        dead = await asyncio.to_thread(run_cli, settings, "dead", "crm", "--json")
        reasons = [json.loads(line)["reason"] for line in dead.stdout.splitlines()]
        assert reasons == ["gone", ""]
        receiver.respond = lambda _attempt: web.Response(status=200)
        replayed = await asyncio.to_thread(run_cli, settings, "replay", "crm")
        assert "2 messages will be sent again" in replayed.stderr
        await receiver.has(2)
        await finalise(sink, make_score(8000))
        await receiver.has(3)


async def test_a_message_that_is_too_old_becomes_a_dead_letter(
    settings: Settings, receiver: Receiver, sink: RedisSink, redis: Redis
) -> None:
    hooks = settings.webhooks.model_copy(update={"retry_hours": 0.5 / 3600})
    receiver.respond = lambda _attempt: web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"})
    async with running(settings.model_copy(update={"webhooks": hooks})), outbox_of(settings) as outbox:
        await begun(redis)
        await finalise(sink, make_score(4000))
        async with asyncio.timeout(20):
            while not (dead := [letter async for letter in outbox.dead("crm")]):
                await asyncio.sleep(0.05)
    ((_, message),) = dead
    assert message.reason == "expired"
    assert message.error == "it answers 302"
    assert message.attempts > 1
    shown = await asyncio.to_thread(run_cli, settings, "dead", "crm")
    assert f"window.final  default/call-1  tried {message.attempts} times" in shown.stdout


async def test_a_receiver_that_asks_for_a_pause_gets_it(settings: Settings, receiver: Receiver, sink: RedisSink, redis: Redis) -> None:
    asked_at: list[float] = []

    def respond(attempt: int) -> web.Response:
        asked_at.append(time.monotonic())
        return web.Response(status=429 if attempt == 1 else 200, headers={"Retry-After": "1"})

    receiver.respond = respond
    async with running(settings):
        await begun(redis)
        await finalise(sink, make_score(4000))
        await receiver.has(1)
        await finalise(sink, make_score(6000))
        await receiver.has(2)
    assert asked_at[1] - asked_at[0] >= 0.9


async def test_a_receiver_that_does_not_answer_does_not_hold_up_others(
    settings: Settings, receiver: Receiver, sink: RedisSink, redis: Redis, tmp_path: Path
) -> None:
    async def silent(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    file = tmp_path / "receivers.yaml"
    async with serving(silent) as url:
        entries = json.loads(file.read_text())["receivers"]
        entries.append(entries[0] | {"name": "silent", "url": url})
        file.write_text(json.dumps({"receivers": entries}))
        async with running(settings), outbox_of(settings) as outbox:
            await begun(redis)
            for end_ms in (4000, 6000, 8000):
                await finalise(sink, make_score(end_ms))
            await receiver.has(3)
            async with asyncio.timeout(10):
                while not (counts := await outbox.counts("silent")).last_error:
                    await asyncio.sleep(0.05)
    assert counts.last_error == "it does not answer within 1 s"
    assert counts.waiting == 3


async def test_a_secret_is_replaced_without_a_break(
    settings: Settings, receiver: Receiver, sink: RedisSink, redis: Redis, tmp_path: Path
) -> None:
    newer = new_secret()
    async with running(settings):
        await begun(redis)
        (tmp_path / "secret").write_text(f"{newer}\n{SECRET}\n")
        await finalise(sink, make_score(4000))
        await receiver.has(1)
        receiver.secret = newer
        await finalise(sink, make_score(6000))
        await receiver.has(2)
        (tmp_path / "secret").write_text(newer)
        await finalise(sink, make_score(8000))
        await receiver.has(3)


async def test_the_file_of_receivers_is_read_again(
    settings: Settings, receiver: Receiver, sink: RedisSink, redis: Redis, tmp_path: Path
) -> None:
    file = tmp_path / "receivers.yaml"
    right = file.read_text()
    async with running(settings):
        await begun(redis)
        file.write_text("receivers: 7")
        await asyncio.sleep(0.5)
        await finalise(sink, make_score(4000))
        await receiver.has(1)
        file.write_text(right.replace('"finals", ', ""))
        await asyncio.sleep(0.5)
        await finalise(sink, make_score(6000))
        await put_alert(redis, make_alert(6000))
        await receiver.has(2)
    assert receiver.kinds == ["alert.raised", "window.final"]


async def test_messages_about_a_session_are_erased(settings: Settings, receiver: Receiver, sink: RedisSink, redis: Redis) -> None:
    receiver.respond = lambda _attempt: web.Response(status=500)
    async with running(settings):
        await begun(redis)
        await finalise(sink, make_score(4000))
        await until(lambda: receiver.asked >= 1)
    async with outbox_of(settings) as outbox:
        assert await outbox.erase("crm", SESSION) == 1
        assert (await outbox.counts("crm")).waiting == 0
    names = webhook_names("crm")
    assert await redis.exists(names.due, names.dead, names.messages) == 0


async def test_a_gateway_sends_them(settings: Settings, receiver: Receiver, sink: RedisSink, redis: Redis) -> None:
    async with running_gateway(settings):
        await begun(redis)
        await finalise(sink, make_score(4000))
        await receiver.has(1)


async def test_a_gateway_with_a_wrong_file_says_so_and_ends(settings: Settings, receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "receivers.yaml").write_text("receivers: [{name: crm}]")
    command = [sys.executable, "-m", "stream.cli", "gateway", "--port", "0", "--redis", settings.redis.url.get_secret_value()]
    environment = os.environ | {"SENTISTREAM_WEBHOOKS__RECEIVERS": str(tmp_path / "receivers.yaml")}
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(40):
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert "receiver 1: missing required field" in errors.decode()
    assert "Traceback" not in errors.decode()


def test_the_command_line_says_what_is_wrong(settings: Settings, receiver: Receiver) -> None:
    assert run_cli(settings, "secret").stdout.startswith("whsec_")
    missing = run_cli(settings, "dead", "nobody")
    assert missing.exit_code == 2
    assert "the file has crm" in missing.stderr
    unset = CliRunner().invoke(app, ["webhooks", "list"])
    assert unset.exit_code == 2
    assert "set webhooks.receivers" in unset.stderr
