"""What is said about a Triton that is away, is another server or has other models; and that no window is lost meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.aio.backoff import Backoff
from stream.config.service_settings import TritonSettings
from stream.config.settings import Settings
from stream.domain.service_problem import ServiceProblem
from stream.kafka_admin.topics import ensure_topics
from stream.local.environment import child_environment
from stream.local.ports import LOOPBACK, free_port
from stream.local.triton import TritonPorts, TritonServer
from stream.model_repository.served_models import AUDIO_ENCODER, FACE_ENCODER, MODEL_NAMES
from stream.serving.client import TritonClient
from stream.serving.diagnosis import digest_note, triton_problem
from stream.serving.models import Models
from tests.support.settings import own_settings

CLIENT_TIMEOUT_S = 5.0


async def problem_at(url: str) -> ServiceProblem:
    """The problem of a Triton at an address, said within 5 s."""
    client = TritonClient(url, CLIENT_TIMEOUT_S)
    began = time.monotonic()
    try:
        problem = await triton_problem(TritonSettings.model_construct(url=url), client)
    finally:
        await client.close()
    assert time.monotonic() - began < 5
    assert problem is not None
    return problem


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (lambda t, _k, _r: t.ports.http, "is Triton's HTTP port; --triton or triton.url needs its gRPC port (by default 8001)"),
        (lambda t, _k, _r: t.ports.metrics, "is a port for metrics; --triton or triton.url needs its gRPC port (by default 8001)"),
        (lambda _t, kafka, _r: kafka, "is a Kafka broker, not Triton; correct --triton or triton.url"),
        (lambda _t, _k, redis: redis, "is a Redis, not Triton; correct --triton or triton.url"),
    ],
    ids=["HTTP", "metrics", "Kafka", "Redis"],
)
async def test_a_port_of_something_else_is_named(
    port: Callable[[TritonServer, int, int], int], said: str, triton_server: TritonServer, tansu_bootstrap: str, redis_url: str
) -> None:
    kafka, redis = (int(text.rpartition(":")[2].partition("/")[0]) for text in (tansu_bootstrap, redis_url))
    problem = await problem_at(f"{LOOPBACK}:{port(triton_server, kafka, redis)}")
    assert (problem.code, problem.lasting) == ("wrong_port", True)
    assert problem.text.endswith(said)


async def test_an_outage_is_told_apart() -> None:
    away = await problem_at(f"{LOOPBACK}:{free_port()}")
    assert (away.code, away.lasting) == ("refused", False)
    assert away.text.endswith("start it, or correct --triton or triton.url")
    unknown = await problem_at("triton.invalid:8001")
    assert (unknown.code, unknown.lasting) == ("unknown_host", False)


async def test_an_address_that_the_settings_would_refuse_is_named() -> None:
    problem = await problem_at("http://127.0.0.1:8001")
    assert (problem.code, problem.lasting) == ("bad_address", True)
    assert problem.text == "triton.url must be HOST:PORT, without http://"


async def test_a_triton_that_hangs_is_no_other_server(own_triton: TritonServer) -> None:
    os.kill(own_triton.process.pid, signal.SIGSTOP)
    try:
        problem = await problem_at(own_triton.grpc_url)
    finally:
        os.kill(own_triton.process.pid, signal.SIGCONT)
    assert (problem.code, problem.lasting) == ("no_answer", False)


@pytest.fixture
def repository(tmp_path: Path, triton_server: TritonServer) -> Path:
    """A copy of the served models."""
    copy = tmp_path / "models"
    shutil.copytree(triton_server.repository, copy)
    return copy


@pytest.fixture
async def own_triton(repository: Path, tmp_path: Path) -> AsyncIterator[TritonServer]:
    """A Triton with the two small encoders only, which the test may replace."""
    for name in MODEL_NAMES:
        if name not in {AUDIO_ENCODER, FACE_ENCODER}:
            shutil.rmtree(repository / name)
    server = TritonServer(repository, tmp_path)
    await server.start()
    yield server
    await server.stop()


async def test_models_that_are_missing_are_named(own_triton: TritonServer) -> None:
    problem = await problem_at(own_triton.grpc_url)
    assert (problem.code, problem.lasting) == ("model_missing", True)
    assert f"Triton at {own_triton.grpc_url} has no model text_encoder, mmci: it serves another model repository" in problem.text


async def test_other_weights_are_a_note(triton_server: TritonServer, repository: Path) -> None:
    config = repository / "mmci" / "config.pbtxt"
    client = TritonClient(triton_server.grpc_url, CLIENT_TIMEOUT_S)
    settings = TritonSettings(url=triton_server.grpc_url, model_repository=repository)
    assert await digest_note(settings, client) is None
    served = (await client.digests("mmci"))["1"]
    config.write_text(config.read_text().replace(served, "0123456789ab"))
    note = await digest_note(settings, client)
    await client.close()
    assert note is not None
    assert (note.code, note.serious) == ("other_weights", False)
    assert f"serves version 1 of mmci with the weights {served}, and {repository} holds 0123456789ab" in note.text


async def test_requests_wait_while_triton_has_foreign_models(own_triton: TritonServer, repository: Path, tmp_path: Path) -> None:
    """A model with the same name takes other rows, and gets its own again: every request is answered, none is given up."""
    settings = TritonSettings(url=own_triton.grpc_url)
    models = Models(settings, Backoff(first_s=0.05, cap_s=0.2))
    faces = np.random.default_rng(1).normal(size=(2, 1, 48, 48)).astype(np.float32)
    wanted = await models.encode_faces(faces)
    await own_triton.stop()
    # The audio encoder under the name of the face encoder: another input, another output.
    foreign = tmp_path / "foreign"
    shutil.copytree(repository / AUDIO_ENCODER, foreign / FACE_ENCODER)
    for config in (foreign / FACE_ENCODER).rglob("*.pbtxt"):
        config.write_text(config.read_text().replace(AUDIO_ENCODER, FACE_ENCODER))
    ports = TritonPorts(grpc=own_triton.ports.grpc)
    (tmp_path / "other").mkdir()
    other = TritonServer(foreign, tmp_path / "other", ports)
    await other.start()
    client = TritonClient(own_triton.grpc_url, CLIENT_TIMEOUT_S)
    assert set(await client.repository()) == {FACE_ENCODER}
    waiting = [asyncio.ensure_future(models.encode_faces(faces)) for _ in range(8)]
    done, _ = await asyncio.wait(waiting, timeout=3)
    assert not done
    problem = await models.problem()
    assert problem is not None
    assert (problem.code, problem.lasting) == ("model_missing", True)
    await client.close()
    await other.stop()
    await own_triton.start()
    async with asyncio.timeout(30):
        answers = await asyncio.gather(*waiting)
    await models.close()
    for answer in answers:
        np.testing.assert_allclose(answer, wanted, atol=1e-5)


async def start_worker(settings: Settings, log: Path) -> asyncio.subprocess.Process:
    environment = {**child_environment(settings), "SENTISTREAM_LOG_FORMAT": "json"}
    command = (sys.executable, "-m", "stream.cli", "worker")
    with log.open("wb") as file:
        return await asyncio.create_subprocess_exec(*command, env=environment, stdout=file, stderr=file)


async def logged(log: Path, event: str, seconds: float = 60) -> dict[str, Any]:
    """The first line of a log with an event, once it is there."""
    async with asyncio.timeout(seconds):
        while True:
            lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
            for line in lines:
                if line["event"] == event:
                    return dict(line)
            await asyncio.sleep(0.1)


def settings_for(url: str, tansu_bootstrap: str, redis_url: str) -> Settings:
    own = own_settings("wrong-triton", tansu_bootstrap, redis_url)
    return own.model_copy(update={"triton": own.triton.model_copy(update={"url": url})})


async def test_a_worker_with_the_wrong_port_exits_with_one_line(
    triton_server: TritonServer, tansu_bootstrap: str, redis_url: str, tmp_path: Path
) -> None:
    settings = settings_for(f"{LOOPBACK}:{triton_server.ports.http}", tansu_bootstrap, redis_url)
    worker = await start_worker(settings, tmp_path / "worker.log")
    assert await asyncio.wait_for(worker.wait(), 60) == 3
    (line,) = (tmp_path / "worker.log").read_text().splitlines()
    assert line.endswith(f"{triton_server.ports.http} is Triton's HTTP port; --triton or triton.url needs its gRPC port (by default 8001)")


async def test_a_worker_says_once_that_triton_is_away_and_once_that_it_is_back(
    triton_server: TritonServer, tansu_bootstrap: str, redis_url: str, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "worker.log"
    settings = settings_for(f"{LOOPBACK}:{port}", tansu_bootstrap, redis_url)
    ensure_topics(settings.kafka)
    worker = await start_worker(settings, log)
    try:
        said = await logged(log, "service_unusable")
        assert (said["level"], said["service"], said["code"]) == ("error", "triton", "refused")
        assert said["what"] == f"Triton does not answer at {LOOPBACK}:{port}; start it, or correct --triton or triton.url"
        assert said["then"] == "the worker waits, and nothing is lost"
        (tmp_path / "triton").mkdir()
        back = TritonServer(triton_server.repository, tmp_path / "triton", TritonPorts(grpc=port))
        await back.start()
        assert (await logged(log, "service_usable"))["service"] == "triton"
        codes = [json.loads(line)["code"] for line in log.read_text().splitlines() if '"service_unusable"' in line]
        assert codes[0] == "refused"
        # A Triton that is met while it loads its models is another problem, and is said once, too.
        assert len(codes) == len(set(codes))
        worker.terminate()
        assert await asyncio.wait_for(worker.wait(), 30) == 0
        await back.stop()
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()
