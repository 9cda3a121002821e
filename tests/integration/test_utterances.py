"""Utterance windows with the real worker and models: the packaged sample, and a worker that is killed in the middle of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from stream.config.settings import Settings
from stream.domain.identity import SessionKey
from stream.domain.modality import Modality
from stream.domain.result import ScoreRecord, SessionRecord
from stream.domain.topics import Topics
from stream.kafka_admin.topics import ensure_topics
from stream.local.environment import child_environment
from stream.produce.prepare import PreparedSession, prepare
from stream.produce.producer import produce_session
from stream.produce.sample import sample_requests
from stream.sinks.reader import ResultReader
from stream.sinks.redis_sink import RedisSink
from tests.support.delivery import is_committed, until
from tests.support.kafka_records import read_topic


@pytest.fixture
def own(settings: Settings) -> Settings:
    kafka = settings.kafka.model_copy(update={"session_timeout_s": 6.0, "fetch_max_wait_ms": 20})
    ensure_topics(kafka)
    return settings.model_copy(update={"kafka": kafka, "windows": settings.windows.model_copy(update={"kind": "utterance"})})


@asynccontextmanager
async def worker(settings: Settings, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("wb") as sink:
        command = [sys.executable, "-m", "stream.cli", "worker"]
        process = await asyncio.create_subprocess_exec(*command, env=child_environment(settings), stdout=sink, stderr=sink)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.wait(), 20)


async def wait_for_finals(settings: Settings, sessions: list[SessionKey], *, at_least: int | None = None) -> None:
    """Wait for a number of final windows, or for the end of all sessions."""
    finals, ended = 0, set()
    async with asyncio.timeout(120), ResultReader(settings.redis, sessions) as reader:
        async for received in reader:
            match received.record:
                case SessionRecord(session=session):
                    ended.add(session)
                case ScoreRecord(is_final=True):
                    finals += 1
            if len(ended) == len(sessions) or finals == at_least:
                return


async def windows(settings: Settings, session: SessionKey) -> list[tuple[str, int, int, float | None]]:
    store = RedisSink(settings.redis)
    finals = await store.finals(session)
    await store.close()
    return sorted((f.track, f.start_ms, f.end_ms, None if f.score is None else round(f.score, 2)) for f in finals)


def prepared(run: str) -> list[PreparedSession]:
    return [prepare(replace(request, session=f"{run}-{number}")) for number, request in enumerate(sample_requests())]


async def test_a_killed_worker_does_not_change_the_utterances(own: Settings, tmp_path: Path) -> None:
    whole, broken = prepared(f"whole-{own.kafka.group}"), prepared(f"broken-{own.kafka.group}")
    keys = [session.plan.key for session in broken]
    async with worker(own, tmp_path / "whole.log"):
        await asyncio.gather(*(asyncio.to_thread(produce_session, own.kafka, session, speed=None) for session in whole))
        await wait_for_finals(own, [session.plan.key for session in whole])
    async with worker(own, tmp_path / "killed.log") as killed:
        sending = [asyncio.create_task(asyncio.to_thread(produce_session, own.kafka, session, speed=3.0)) for session in broken]
        await wait_for_finals(own, keys, at_least=4)
        killed.kill()
    async with worker(own, tmp_path / "next.log"):
        await asyncio.gather(*sending)
        await wait_for_finals(own, keys)
        for topic in Topics(own.kafka.topic_prefix).inputs:
            everything = len(read_topic(own.kafka, topic))
            await until(partial(is_committed, own, topic, everything), 10)
    expected = [await windows(own, session.plan.key) for session in whole]
    assert [await windows(own, key) for key in keys] == expected
    call, faces = expected
    assert len(call) > 5
    assert all(end - start <= 10_000 for _, start, end, _ in call + faces)
    assert any(end % 1000 for _, _, end, _ in call)
    assert not read_topic(own.kafka, Topics(own.kafka.topic_prefix).late)


async def test_an_utterance_of_ten_seconds_is_scored(own: Settings, tmp_path: Path) -> None:
    session = prepare(replace(sample_requests()[1], transcript=None, recognise=False, session=f"faces-{own.kafka.group}"))
    longest = own.model_copy(update={"windows": own.windows.model_copy(update={"utterance_pause_ms": 3000})})
    async with worker(longest, tmp_path / "worker.log"):
        await asyncio.to_thread(produce_session, own.kafka, session, speed=None)
        await wait_for_finals(own, [session.plan.key])
    found = await windows(own, session.plan.key)
    assert [(start, end) for _, start, end, _ in found[:2]] == [(0, 10_000), (10_000, 20_000)]
    store = RedisSink(own.redis)
    assert all(Modality.VIDEO in final.modalities_present for final in await store.finals(session.plan.key))
    await store.close()
