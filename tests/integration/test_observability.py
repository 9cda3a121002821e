"""A real worker and a real gateway export the metrics that dashboard and alerts name, and nothing that people said, or are called.

The session has names, words and numbers that occur nowhere else, well-formed and malformed, while Redis goes away and comes back. All that
both programs write (logs of every level, metrics, health) is searched for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from kafka import KafkaProducer
from pydantic import SecretStr

from stream.config.settings import Settings
from stream.domain.result import SessionRecord
from stream.kafka_admin.connection import kafka_options
from stream.kafka_admin.topics import ensure_topics
from stream.local.environment import child_environment
from stream.local.ports import LOOPBACK, free_port
from stream.local.redis_server import RedisServer
from stream.produce.prepare import MediaRequest, prepare
from stream.produce.producer import produce_session
from stream.sinks.reader import ResultReader
from tests.support.settings import own_settings
from tests.unit.test_observability import SUFFIXES, expressions, names

CANARIES = {
    "tenant": "quokkatenant",
    "session": "wombatsession",
    "track": "numbattrack",
    "file": "bilbyfile",
    "name": "Zephyrine",
    "surname": "Quackenbush",
    "word": "flibbertigibbet",
    "number": "4929123456781234",
    "mail": "zq.canary@wallaby.example",
    "malformed": "taipanmalformed",
    "asked": "bandicootasked",
    "token": "thylacinetoken",
}
SAID = f"""WEBVTT

00:00.000 --> 00:03.000
Hello my name is {CANARIES["name"]} {CANARIES["surname"]} and I am very angry

00:03.000 --> 00:06.000
This {CANARIES["word"]} is terrible {CANARIES["number"]}

00:06.000 --> 00:09.000
write to {CANARIES["mail"]}
"""


@dataclass(slots=True)
class Ran:
    """What the programs wrote."""

    worker: str = ""
    gateway: str = ""
    worker_metrics: str = ""
    gateway_metrics: str = ""
    health: str = ""


@pytest.fixture(scope="module")
def ran(tansu_bootstrap: str, triton_url: str, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return asyncio.run(run_all(tansu_bootstrap, triton_url, tmp_path_factory.mktemp("observed")))


async def run_all(bootstrap: str, triton_url: str, directory: Path) -> Ran:
    redis = RedisServer(directory)
    await redis.start()
    settings = settings_of(bootstrap, redis.url, triton_url)
    await asyncio.to_thread(ensure_topics, settings.kafka)
    ran = Ran()
    try:
        async with program(settings, directory / "worker.log", "worker"), program(settings, directory / "gateway.log", "gateway"):
            await answers(f"http://{LOOPBACK}:{settings.gateway.port}/live")
            await asyncio.to_thread(send_malformed, settings)
            await asyncio.to_thread(send_session, settings, directory)
            await ended(settings)
            await redis.stop()
            await asyncio.sleep(3)
            await redis.restart()
            await ask_for_what_is_not_there(settings)
            ran.worker_metrics = await answers(f"http://{LOOPBACK}:{settings.health.port}/metrics")
            ran.gateway_metrics = await answers(f"http://{LOOPBACK}:{settings.gateway.metrics_port}/metrics")
            for path in ("live", "ready", "timings"):
                ran.health += await answers(f"http://{LOOPBACK}:{settings.health.port}/{path}")
    finally:
        await redis.stop()
    ran.worker, ran.gateway = (directory / "worker.log").read_text(), (directory / "gateway.log").read_text()
    return ran


def settings_of(bootstrap: str, redis_url: str, triton_url: str) -> Settings:
    own = own_settings("observed", bootstrap, redis_url, session_timeout_s=6.0, fetch_max_wait_ms=20)
    return own.model_copy(
        update={
            "triton": own.triton.model_copy(update={"url": triton_url}),
            "health": own.health.model_copy(update={"port": free_port()}),
            "gateway": own.gateway.model_copy(update={"port": free_port(), "metrics_port": free_port()}),
            "redis": own.redis.model_copy(update={"url": SecretStr(redis_url)}),
            "log_level": "debug",
        }
    )


@asynccontextmanager
async def program(settings: Settings, log: Path, *command: str) -> AsyncIterator[None]:
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stream.cli", *command), env=child_environment(settings), stdout=sink, stderr=sink
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            code = await asyncio.wait_for(process.wait(), 30)
    assert code == 0, log.read_text()[-3000:]


def send_session(settings: Settings, directory: Path) -> None:
    file = directory / f"{CANARIES['file']}.vtt"
    file.write_text(SAID)
    request = MediaRequest(file, None, CANARIES["session"], CANARIES["tenant"], CANARIES["track"], "customer")
    produce_session(settings.kafka, prepare(request), speed=None)


def send_malformed(settings: Settings) -> None:
    """Records that cannot be used, in all their parts: key, value, names and values of headers."""
    bad, prefix = CANARIES["malformed"], settings.kafka.topic_prefix
    with contextlib.closing(KafkaProducer(**kafka_options(settings.kafka))) as producer:
        for topic in ("chunks.text", "chunks.audio", "chunks.video", "sessions"):
            producer.send(prefix + topic, key=f"{bad}/{bad}".encode(), value=f'{{"words": [{{"text": "{bad}"}}]}}'.encode())
            producer.send(prefix + topic, key=bad.encode(), value=bad.encode(), headers=[(bad, bad.encode()), ("ce_tenant", bad.encode())])
        producer.flush()


async def ended(settings: Settings) -> None:
    async with asyncio.timeout(90), ResultReader(settings.redis) as reader:
        async for received in reader:
            if isinstance(received.record, SessionRecord):
                return


async def ask_for_what_is_not_there(settings: Settings) -> None:
    api, asked = f"http://{LOOPBACK}:{settings.gateway.port}/api/v1", CANARIES["asked"]
    headers = {"Authorization": f"Bearer {CANARIES['token']}", "User-Agent": asked, "Last-Event-ID": asked}
    async with aiohttp.ClientSession(headers=headers) as client:
        for path in (
            f"sessions/{asked}/{asked}",
            f"sessions?cursor={asked}",
            f"windows/{asked}/{asked}/{asked}/0-1",
            f"alerts/{asked}",
            asked,
        ):
            async with client.get(f"{api}/{path}") as answer:
                await answer.read()
        async with client.post(f"{api}/login", json={"token": CANARIES["token"]}) as answer:
            await answer.read()
        async with client.post(f"{api}/verdicts", data=asked) as answer:
            await answer.read()
        session = f"{CANARIES['tenant']}/{CANARIES['session']}"
        async with client.get(f"{api}/stream", params={"session": session, "after": "start"}) as answer:
            await answer.content.readany()


async def answers(url: str) -> str:
    """What a URL answers, once it does."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as client:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with client.get(url) as answer:
                    return await answer.text()
            await asyncio.sleep(0.2)


def test_every_metric_of_dashboard_and_alerts_is_exported(ran: Ran) -> None:
    exported = set(re.findall(r"^# TYPE (\w+) ", ran.worker_metrics + ran.gateway_metrics, re.MULTILINE))
    named = {name for expression in expressions() for name in names(expression)}
    assert {name for name in named if name not in exported and SUFFIXES.sub("", name) not in exported} == set()


def test_what_has_happened_is_counted(ran: Ran) -> None:
    def value(text: str, series: str) -> float:
        found = re.search(rf"^{series} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    assert value(ran.worker_metrics, "sentistream_e2e_latency_seconds_count") > 0
    assert sum(map(float, re.findall(r"^sentistream_dlq_total\{.*\} (\S+)$", ran.worker_metrics, re.MULTILINE))) == 8
    assert value(ran.worker_metrics, r"sentistream_consumer_lag_records") == 0
    assert value(ran.gateway_metrics, "sentistream_gateway_records_total") > 0
    assert value(ran.gateway_metrics, r'sentistream_gateway_requests_total\{status="404"\}') > 0


@pytest.mark.parametrize("where", ["worker", "gateway", "worker_metrics", "gateway_metrics", "health"])
def test_nothing_personal_is_written(ran: Ran, where: str) -> None:
    text = str(getattr(ran, where)).casefold()
    assert text
    found = {kind for kind, canary in CANARIES.items() if canary.casefold() in text}
    assert found == set()
