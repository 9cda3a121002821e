"""Versions of the model on a real Triton and a real Redis: loaded, promoted, refused, rolled back and retired while windows are scored."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from typer.testing import CliRunner

from stream.cli.main import app
from stream.config.service_settings import RedisSettings, TritonSettings
from stream.config.settings import Settings
from stream.domain.identity import SessionKey
from stream.domain.media_format import MEL_BINS, MEL_FRAMES
from stream.domain.modality import Modality
from stream.domain.result import ModelVersion
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.encoders.text import default_tokenizer
from stream.local.redis_server import RedisServer
from stream.local.triton import TritonServer
from stream.local.triton_health import TritonHealth
from stream.model_repository.audio_weights import PROJECTION
from stream.model_repository.errors import VersionRefusedError
from stream.model_repository.files import MODEL_FILE, sha256_of
from stream.model_repository.repository import build_encoders
from stream.model_repository.served_models import AUDIO_ENCODER, MMCI
from stream.model_repository.version_files import load_at_start, loaded_versions
from stream.pipeline.model_versions import ModelVersions
from stream.pipeline.score import WindowScorer
from stream.serving.canary_windows import canary_windows
from stream.serving.models import Models
from stream.sinks.redis_sink import RedisSink
from tests.fakes.processing_context import FakeScorer, FakeStore, FakeWorker
from tests.support.model_versions import add_damaged_version, add_scaled_version, add_version_with_encoder, copy_repository
from tests.support.processes import descendants

SESSION = SessionKey("default", "call-1")
WINDOW = canary_windows()[0]
START = SessionStart(0, (TrackPlan("customer", "customer", (Modality.TEXT,)),))


def end(seconds: int) -> SessionEnd:
    return SessionEnd(0, seconds * 1000, (TrackEnd("customer", {Modality.TEXT: seconds}),))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 2 scores half as high; version 3 is no ONNX file, 4 gives NaN, 5 lacks an output, and 6 has not passed its gates.

    Version 7 has an audio encoder of its own, whose embeddings are those of the release times -2.
    """
    source = Settings().triton.model_repository
    build_encoders(source)
    copy = copy_repository(source, tmp_path_factory.mktemp("versions") / "models")
    made = [add_scaled_version(copy, 0.5), add_damaged_version(copy), add_scaled_version(copy, float("nan"))]
    made += [add_scaled_version(copy, 1.0, drop="arousal"), add_scaled_version(copy, 1.0, passed=False)]
    made += [add_version_with_encoder(copy, -2.0)]
    assert made == ["2", "3", "4", "5", "6", "7"]
    return copy


@pytest.fixture(scope="module")
def triton(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    server = TritonServer(repository, tmp_path_factory.mktemp("triton"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def settings(triton: TritonServer, server: RedisServer) -> Settings:
    return Settings(
        triton=TritonSettings(url=triton.grpc_url, model_repository=triton.repository), redis=RedisSettings(url=SecretStr(server.url))
    )


@pytest.fixture
async def versions(settings: Settings, redis: Redis) -> AsyncIterator[ModelVersions]:
    await redis.flushall()
    async with ModelVersions(settings) as versions:
        for version in (await versions.status()).loaded:
            if version != "1":
                await versions.retire(version, force=True)
        yield versions


@pytest.fixture
async def models(settings: Settings) -> AsyncIterator[Models]:
    models = Models(settings.triton)
    yield models
    await models.close()


async def test_a_version_is_promoted_and_rolled_back_while_windows_are_scored(
    versions: ModelVersions, models: Models, sink: RedisSink, repository: Path
) -> None:
    right = {"1": (await models.infer(WINDOW, "1")).scores[-1]}
    answers: list[str] = []

    async def score() -> None:
        while True:
            answer = await models.infer(WINDOW, "1")
            assert (answer.version, round(float(answer.scores[-1]), 4)) == ("1", round(float(right["1"]), 4))
            answers.append(answer.version)

    scoring = asyncio.ensure_future(score())
    promoted = await versions.promote("2")
    assert (promoted.version, promoted.previous) == ("2", "1")
    assert await sink.promoted_version() == "2"
    assert loaded_versions(repository / MMCI) == ("1", "2"), "a Triton that restarts loads both again"
    before = len(answers)
    new = await models.infer(WINDOW, "2")
    assert (new.version, new.scores[-1]) == ("2", pytest.approx(right["1"] / 2, abs=1e-5))
    assert (await models.named("2")).digest != (await models.named("1")).digest
    rolled_back = await versions.roll_back()
    assert (rolled_back.version, rolled_back.previous) == ("1", None)
    assert await sink.promoted_version() == "1"
    with pytest.raises(VersionRefusedError, match="no version to go back to"):
        await versions.roll_back()
    assert len(answers) >= before > 0
    assert not scoring.done()
    scoring.cancel()


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("3", "the ONNX file cannot be loaded"),
        ("4", "gives no valid answer .*not finite"),
        ("5", "output arousal is not in the ONNX file"),
        ("8", "there is no version 8 of mmci"),
    ],
)
async def test_a_broken_version_is_refused_and_the_old_one_serves_on(
    version: str, reason: str, versions: ModelVersions, models: Models, sink: RedisSink, repository: Path
) -> None:
    with pytest.raises(VersionRefusedError, match=reason):
        await versions.promote(version, force=True)
    assert (await versions.status()).loaded.keys() == {"1"}
    assert (await models.infer(WINDOW, "1")).version == "1"
    assert await sink.promoted_version() is None
    assert loaded_versions(repository / MMCI) == ("1",)


async def test_a_version_that_triton_cannot_load_is_refused(versions: ModelVersions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the files cannot be checked here, Triton's own check has the last word."""

    async def unchecked(_self: ModelVersions, _version: str, _served: object) -> None:
        pass

    monkeypatch.setattr(ModelVersions, "_check_files", unchecked)
    with pytest.raises(VersionRefusedError, match=r"Triton cannot load version 3 of mmci .*the others are served on"):
        await versions.load("3")
    assert (await versions.status()).loaded.keys() == {"1"}


async def test_a_version_that_has_not_passed_its_gates_needs_force(versions: ModelVersions) -> None:
    with pytest.raises(VersionRefusedError, match="has not passed its gates: clean; promote it all the same with --force"):
        await versions.promote("6")
    assert (await versions.promote("6", force=True)).version == "6"


async def test_a_version_brings_its_audio_encoder_and_takes_it_away(
    versions: ModelVersions, models: Models, repository: Path, triton: TritonServer
) -> None:
    sound = np.random.default_rng(0).uniform(-0.5, 1.0, (2, MEL_BINS, MEL_FRAMES)).astype(np.float32)
    release = await models.encode_audio(sound)
    assert (await versions.promote("7")).version == "7"
    assert [await models.audio_encoder(version) for version in ("1", "7")] == ["1", "7"]
    np.testing.assert_allclose(await models.encode_audio(sound, "7"), -2 * release, atol=1e-4)
    np.testing.assert_array_equal(await models.encode_audio(sound), release)
    assert loaded_versions(repository / AUDIO_ENCODER) == ("1", "7")
    await triton.restart()
    np.testing.assert_allclose(await models.encode_audio(sound, "7"), -2 * release, atol=1e-4)
    assert await models.audio_encoder("7") == "7"
    await versions.load("2")
    assert [await models.audio_encoder(version) for version in ("1", "2", "7")] == ["1", "1", "7"], "other versions change nothing"
    await versions.roll_back()
    await versions.retire("7")
    assert loaded_versions(repository / AUDIO_ENCODER) == ("1",)
    waiting = asyncio.ensure_future(models.encode_audio(sound, "7"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 1.0)
    await versions.load("7")
    np.testing.assert_allclose(await waiting, -2 * release, atol=1e-4)


async def test_a_version_whose_audio_encoder_cannot_be_built_or_has_changed_is_refused(versions: ModelVersions, repository: Path) -> None:
    projection = repository / MMCI / "7" / PROJECTION
    right = projection.read_bytes()
    try:
        projection.write_bytes(b"damaged")
        with pytest.raises(VersionRefusedError, match=r"audio encoder of its own, and that cannot be served .*is missing or unreadable"):
            await versions.load("7")
        assert (await versions.status()).loaded.keys() == {"1"}
        projection.write_bytes(right)
        await versions.load("7")
        projection.write_bytes((repository / AUDIO_ENCODER / PROJECTION).read_bytes())
        with pytest.raises(VersionRefusedError, match="is not the one that Triton serves: a version never changes"):
            await versions.load("7")
    finally:
        projection.write_bytes(right)


async def scored(sink: RedisSink, session: SessionKey, windows: int) -> list[ModelVersion]:
    """The versions of a session's first windows, once they are final."""
    async with asyncio.timeout(30):
        while len(finals := await sink.finals(session)) < windows:
            await asyncio.sleep(0.05)
    return [final.model for final in finals]


async def test_a_worker_that_takes_over_keeps_the_version_of_the_epoch(
    versions: ModelVersions, models: Models, sink: RedisSink, repository: Path
) -> None:
    scorer = WindowScorer(models, default_tokenizer(), 500)
    first, successor = (FakeWorker(cast(FakeScorer, scorer), cast(FakeStore, sink)) for _ in range(2))
    await first.feed(first.event(START), *(first.words(seq) for seq in range(5)))
    session, new = SessionKey("acme", "call-1"), SessionKey("acme", "call-2")
    await scored(sink, session, 1)
    first.router.stop()
    await versions.promote("2")
    await successor.feed(successor.event(START), *(successor.words(seq) for seq in range(6)), successor.event(end(6)))
    assert {model.version for model in await scored(sink, session, 3)} == {"1"}
    await successor.feed(successor.event(START, new.session), *(successor.words(seq, session=new.session) for seq in range(5)))
    (of_new,) = await scored(sink, new, 1)
    assert of_new == ModelVersion(MMCI, "2", sha256_of(repository / MMCI / "2" / MODEL_FILE)[:12])
    successor.router.stop()
    assert not successor.failures


async def test_a_version_that_epochs_keep_is_not_retired_and_is_waited_for(
    versions: ModelVersions, models: Models, sink: RedisSink, redis: Redis
) -> None:
    assert await sink.pin_version(SESSION, 0, "1") == "1"
    await redis.zadd("sentistream:sessions", {str(SESSION): 1})
    await versions.promote("2")
    with pytest.raises(VersionRefusedError, match="version 2 is in force"):
        await versions.retire("2")
    with pytest.raises(VersionRefusedError, match="1 open epochs keep version 1"):
        await versions.retire("1")
    assert (await versions.status()).open_epochs == {"1": 1}
    await versions.retire("1", force=True)
    waiting = asyncio.ensure_future(models.infer(WINDOW, "1"))
    done, _ = await asyncio.wait({waiting}, timeout=1)
    assert not done, "no other version answers for it"
    problem = await models.problem()
    assert problem is not None
    assert problem.code == "version_missing"
    assert "has not loaded version 1 of mmci" in problem.text
    await versions.load("1")
    assert (await asyncio.wait_for(waiting, 10)).version == "1"
    assert await models.problem() is None


@pytest.mark.parametrize("number", [0, 1])
async def test_a_dead_process_is_noticed_whichever_version_it_runs(number: int, repository: Path, tmp_path: Path) -> None:
    load_at_start(repository / MMCI, ("1", "2"))
    server = TritonServer(repository, tmp_path)
    await server.start()
    health = TritonHealth(server)
    try:
        assert await health.failure() is None
        stubs = [child for child in descendants(server.process.pid) if f"/{MMCI}/" in child.command or f"{MMCI}_" in child.command]
        assert len(stubs) == 2
        os.kill(stubs[number].pid, signal.SIGKILL)
        async with asyncio.timeout(20):
            while await health.failure() != "the process of model mmci is dead":
                await asyncio.sleep(0.1)
    finally:
        await health.close()
        await server.stop()
        load_at_start(repository / MMCI, ("1",))


@pytest.mark.usefixtures("versions")
def test_the_commands_say_what_new_sessions_get(triton: TritonServer, server: RedisServer) -> None:
    at = ["--triton", triton.grpc_url, "--redis", server.url, "--repository", str(triton.repository)]

    def said(*command: str) -> str:
        result = CliRunner().invoke(app, ["models", *command, *at])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    assert "new sessions get version 1 of mmci" in said("promote", "1")
    assert said("promote", "2").endswith("new sessions get version 2 of mmci; `sentistream models rollback` goes back to version 1\n")
    listed = [json.loads(line) for line in said("list", "--live", "--json").splitlines()]
    assert [(line["version"], line["served"], line["in_force"], line["previous"]) for line in listed] == [
        ("1", True, False, True),
        ("2", True, True, False),
    ]
    assert "before the last promotion" in said("list", "--live")
    assert said("rollback").endswith("new sessions get version 1 of mmci\n")
    assert said("retire", "2").endswith("version 2 of mmci is not served\n")
    refused = CliRunner().invoke(app, ["models", "promote", "6", *at])
    assert (refused.exit_code, refused.stderr) == (
        1,
        "version 6 has not passed its gates: clean; promote it all the same with --force\n",
    )
