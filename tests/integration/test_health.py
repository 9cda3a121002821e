"""The health endpoints of a real worker while its services change."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from faust.transport.drivers.aiokafka import Consumer
from redis.asyncio import Redis

from stream.agents.app import HEARTBEAT_S, WorkerApp
from stream.agents.worker_state import WorkerState
from stream.config.settings import Settings
from stream.config.worker_settings import HealthSettings
from stream.kafka_admin.topics import ensure_topics
from stream.local.environment import child_environment
from stream.local.ports import LOOPBACK, free_port
from stream.local.redis_server import RedisServer
from stream.sinks.problems import RedisProblem, diagnosis
from tests.fakes.processing_context import FakeWorker
from tests.support.settings import own_settings

INPUT_PARTITIONS = 24


@pytest.fixture
def settings(tansu_bootstrap: str, server: RedisServer) -> Settings:
    own = own_settings("health", tansu_bootstrap, server.url)
    ensure_topics(own.kafka)
    return own.model_copy(update={"health": HealthSettings(port=free_port())})


async def ask(settings: Settings, path: str) -> tuple[int, Any]:
    """Status and answer; 0 if nothing listens."""
    address = f"http://{LOOPBACK}:{settings.health.port}{path}"
    try:
        async with aiohttp.ClientSession() as client, client.get(address) as answer:
            return answer.status, await answer.json()
    except aiohttp.ClientConnectorError:
        return 0, {}


async def until(settings: Settings, status: int, **reasons: str) -> None:
    """Wait until /ready answers with this status and these reasons."""
    answer: tuple[int, Any] = (0, {})
    try:
        async with asyncio.timeout(40):
            while answer[0] != status or answer[1]["reasons"] != reasons:
                await asyncio.sleep(0.2)
                answer = await ask(settings, "/ready")
    except TimeoutError:
        pytest.fail(f"/ready answers {answer}, not {status} {reasons}")


async def test_readiness_names_the_service_that_is_away(settings: Settings, server: RedisServer, triton_url: str, tmp_path: Path) -> None:
    served = settings.model_copy(update={"triton": settings.triton.model_copy(update={"url": triton_url})})
    with (tmp_path / "worker.log").open("wb") as log:
        command = (sys.executable, "-m", "stream.cli", "worker")
        process = await asyncio.create_subprocess_exec(*command, env=child_environment(served), stdout=log, stderr=log)
    try:
        await until(served, 200)
        assert (await ask(served, "/ready"))[1]["partitions"] == INPUT_PARTITIONS
        os.kill(server.process.pid, signal.SIGSTOP)
        await until(served, 503, redis="no answer within 2 s")
        assert (await ask(served, "/live"))[0] == 200
        os.kill(server.process.pid, signal.SIGCONT)
        await until(served, 200)
        async with Redis.from_url(server.url) as redis:
            await redis.replicaof("NO", "ONE")
            await redis.replicaof(LOOPBACK, 1)
            found = diagnosis(RedisProblem.READ_ONLY)
            await until(served, 503, redis=found.sentence(server.url.removeprefix("redis://").removesuffix("/0")))
            assert (await ask(served, "/ready"))[1]["services"]["redis"]["code"] == "read_only"
            await redis.replicaof("NO", "ONE")
        await until(served, 200)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0, (tmp_path / "worker.log").read_text()[-2000:]
        assert await ask(served, "/ready") == (0, {})
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_worker_without_triton_is_live_but_not_ready(settings: Settings, tmp_path: Path) -> None:
    alone = settings.model_copy(update={"triton": settings.triton.model_copy(update={"url": f"{LOOPBACK}:{free_port()}"})})
    with (tmp_path / "worker.log").open("wb") as log:
        command = (sys.executable, "-m", "stream.cli", "worker")
        process = await asyncio.create_subprocess_exec(*command, env=child_environment(alone), stdout=log, stderr=log)
    try:
        await until(alone, 503, triton=f"Triton does not answer at {alone.triton.url}; start it, or correct --triton or triton.url")
        problem = (await ask(alone, "/ready"))[1]["services"]["triton"]
        assert (problem["code"], problem["lasting"]) == ("refused", False)
        assert (await ask(alone, "/live"))[0] == 200
    finally:
        process.kill()
        await process.wait()


async def test_a_stuck_consumer_thread_is_noticed(settings: Settings, tmp_path: Path) -> None:
    state, factory, stop = WorkerState(), FakeWorker(), asyncio.Event()
    app = WorkerApp(
        settings,
        tmp_path,
        store=factory.store,
        scorer=factory.scorer,
        new_encoder=factory.new_encoder,
        on_ready=lambda _partitions: None,
        state=state,
    )
    running = asyncio.create_task(app.run(stop))
    async with asyncio.timeout(60):
        while state.partitions is None or state.consumer_turned_s is None:
            await asyncio.sleep(0.1)
    assert state.partitions == INPUT_PARTITIONS
    cast(Consumer, app._faust.consumer)._thread.thread_loop.call_soon_threadsafe(time.sleep, 4 * HEARTBEAT_S)
    async with asyncio.timeout(20):
        while time.monotonic() - state.consumer_turned_s < 2 * HEARTBEAT_S:
            await asyncio.sleep(0.1)
        while time.monotonic() - state.consumer_turned_s > HEARTBEAT_S:
            await asyncio.sleep(0.1)
    stop.set()
    await asyncio.wait_for(running, 30)
    assert state.draining
