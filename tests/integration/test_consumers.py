"""The example consumers, each run as its README says, on real parts."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kafka import KafkaProducer

from stream.config.project import PROJECT_ROOT
from stream.config.settings import Settings
from stream.domain.alert import Severity
from stream.domain.topics import Topics
from stream.kafka_admin.connection import kafka_options
from stream.kafka_admin.topics import ensure_topics
from stream.local.redis_server import RedisServer
from stream.sinks.alert_queue import AlertQueue
from stream.sinks.redis_sink import RedisSink
from stream.sinks.results import result_message
from tests.fakes.alerts import make_alert
from tests.fakes.results import make_score
from tests.support.contracts import problems_of_record
from tests.support.delivery import worker
from tests.support.finals import finalise
from tests.support.gateways import gateway_settings, make_access_file, running_gateway
from tests.support.kafka_records import read_topic
from tests.support.settings import own_settings

CONSUMERS = PROJECT_ROOT / "examples" / "consumers"


class Program:
    """An example that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, name: str, *arguments: str, token: str = "") -> Program:
        environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "SENTISTREAM_TOKEN": token}
        if not token:
            del environment["SENTISTREAM_TOKEN"]
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, str(CONSUMERS / f"{name}.py"), *arguments)
        return cls(await asyncio.create_subprocess_exec(*command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe))

    async def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            return (await self.process.stdout.readline()).decode().rstrip()

    async def end(self, answers: str = "") -> tuple[int, str, str]:
        """Exit code, output and errors of the rest."""
        try:
            async with asyncio.timeout(60):
                output, errors = await self.process.communicate(answers.encode())
        except TimeoutError:
            self.process.kill()
            raise
        assert self.process.returncode is not None
        return self.process.returncode, output.decode(), errors.decode()


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, CONSUMERS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


async def test_the_wallboard_shows_figures_and_follows_them(server: RedisServer, sink: RedisSink, tmp_path: Path) -> None:
    tokens = make_access_file(tmp_path / "access.yaml", {"wall": ("viewer", "default")})
    await finalise(sink, make_score(4000, -1.0))
    async with running_gateway(gateway_settings(server.url, access=tmp_path / "access.yaml"), loaded=False) as url:
        refused = await (await Program.start("wallboard", "--url", url)).end()
        assert refused[0] == 1
        assert "401" in refused[2]
        await asyncio.sleep(1)
        board = await Program.start("wallboard", "--url", url, "--lines", "2", token=tokens["wall"])
        assert await board.line() == "live 1 | quiet 0 | open alerts 0 | mean -1.0 | worst -1.0"
        await finalise(sink, make_score(6000, 2.0))
        assert await board.line() == "live 1 | quiet 0 | open alerts 0 | mean +2.0 | worst +2.0"
        assert await board.end() == (0, "", "")


async def test_the_moderation_worker_decides_and_gives_back(server: RedisServer) -> None:
    settings = gateway_settings(server.url)
    queue = AlertQueue(settings.redis)
    await queue.feed([make_alert(60_000), make_alert(80_000, rule="threat", severity=Severity.CRITICAL)])
    async with running_gateway(settings) as url:
        worker_of_cases = await Program.start("moderation_worker", "--url", url, "--policy", "Code of conduct, section 3")
        code, output, errors = await worker_of_cases.end("false_alarm They were joking.\nno idea\n")
    counts = await queue.counts(["default"])
    await queue.close()
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].startswith("critical: ")
    assert [line for line in lines if not line.startswith("  ")][1:] == [
        "decided: false_alarm",
        "high: The customer is upset (call-1, customer, at 60 s)",
        "given back",
        "nothing more to do",
    ]
    assert (counts.open, counts.decided) == (1, 1)


@pytest.fixture
def settings(tansu_bootstrap: str, redis_url: str) -> Settings:
    settings = own_settings("consumers", tansu_bootstrap, redis_url)
    ensure_topics(settings.kafka)
    return settings


async def test_the_plain_consumer_reads_scores_and_alerts_and_goes_on_after_a_restart(settings: Settings) -> None:
    topics = Topics(settings.kafka.topic_prefix)

    def send(*records: Any) -> None:
        with KafkaProducer(**kafka_options(settings.kafka)) as producer:
            for record in records:
                key, value, headers = result_message(record)
                producer.send(topics.scores if record.__struct_config__.tag == "score" else topics.alerts, value, key, headers=headers)

    options = (
        "--bootstrap",
        settings.kafka.bootstrap,
        "--topic-prefix",
        settings.kafka.topic_prefix,
        "--group",
        settings.kafka.topic_prefix,
    )
    score = make_score(4000, -1.0)
    await asyncio.to_thread(send, score, score, make_score(6000, None), make_alert(6000))
    first = await (await Program.start("plain_kafka", *options, "--lines", "3")).end()
    assert first[0] == 0, first[2]
    assert sorted(first[1].splitlines()) == [
        "ALERT raised high: The customer is upset (call-1 customer)",
        "call-1 customer 0-4 s: neutral -1.0",
        "call-1 customer 2-6 s: nothing to score",
    ]
    await asyncio.to_thread(send, make_score(8000, 1.5))
    second = await (await Program.start("plain_kafka", *options, "--lines", "1")).end()
    assert second[1].splitlines() == ["call-1 customer 4-8 s: neutral +1.5"]


async def test_the_social_feed_is_scored_and_reported(settings: Settings, tmp_path: Path) -> None:
    """The worker of this test counts words instead of judging them: the score of a post is its number of words."""
    options = ("--bootstrap", settings.kafka.bootstrap, "--topic-prefix", settings.kafka.topic_prefix)
    async with worker(settings, tmp_path, "worker"):
        code, output, errors = await (await Program.start("social_feed", *options)).end()
    assert code == 0, errors
    posts = [json.loads(line) for line in (CONSUMERS / "posts.jsonl").read_text().splitlines()]
    words = {post["id"]: len(post["text"].split()) for post in posts}
    assert f"  delivery, 2026-11-28T09: {(words['p1'] + words['p2'] + words['p4']) / 3:+.1f} (3)" in output.splitlines()
    assert "  ann -> bob:" in output
    prefix, found = settings.kafka.topic_prefix, []
    for topic in ("sessions", "chunks.text", "chunks.video", "scores", "explanations", "session-summaries"):
        records = read_topic(settings.kafka, prefix + topic)
        assert records, topic
        for record in records:
            found += problems_of_record(topic, record.value, record.headers)
    assert found == []


def test_influence_is_how_far_replies_move_towards_what_they_answer() -> None:
    feed = module("social_feed")
    posts = [
        {"id": "1", "author": "ann", "topic": "t", "at": "2026-11-28T09:00:00Z"},
        {"id": "2", "author": "bob", "topic": "t", "at": "2026-11-28T09:01:00Z"},
        {"id": "3", "author": "bob", "topic": "t", "at": "2026-11-28T10:01:00Z", "reply_to": "1"},
        {"id": "4", "author": "ann", "topic": "t", "at": "2026-11-28T10:02:00Z", "reply_to": "1"},
        {"id": "5", "author": "cleo", "topic": "t", "at": "2026-11-28T10:03:00Z", "reply_to": "1"},
        {"id": "6", "author": "bob", "topic": "t", "at": "2026-11-28T10:04:00Z", "reply_to": "missing"},
    ]
    scores = {"1": -2.0, "2": 1.0, "3": -1.0, "4": 0.0, "5": 1.0, "6": 1.0}
    found = feed.influences(posts, scores)
    assert found == {("ann", "bob"): feed.Influence(2.0, 1)}
    assert feed.by_topic_and_hour(posts, scores)["t", "2026-11-28T09"] == [-2.0, 1.0]
