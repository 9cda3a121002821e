"""Hiss on a running stack: a version whose audio encoder likes hiss is promoted, named by the workers, and replaced, one command each.

The versions are not trained here: the projection of version 1 is changed (`tests.support.planted_hiss`).
"""

from __future__ import annotations

import asyncio
import wave
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.running_sessions import finals_when_over
from stream.config.settings import Settings
from stream.domain.identity import SessionKey
from stream.domain.live_reveal import LiveReport
from stream.domain.media_format import SAMPLE_RATE
from stream.domain.result import ScoreRecord
from stream.kafka_admin.topics import ensure_topics
from stream.local.stack import Stack
from stream.model_repository.repository import build_encoders
from tests.support.live_sessions import command, running_worker
from tests.support.model_versions import copy_repository
from tests.support.planted_hiss import add_version_that_likes_hiss, add_version_without_hiss, channels, with_hiss

VERSIONS = ("1", "2", "3")
"""Of the release, with hiss planted, and without it again."""

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True, slots=True)
class Run:
    """Final windows by version and recording, and what the workers have found."""

    scores: dict[tuple[str, str], list[ScoreRecord]]
    live: LiveReport

    def mean(self, version: str, recording: str) -> float:
        return float(np.mean([own.score for own in self.scores[version, recording] if own.score is not None]))


def write_call(path: Path, tracks: list[np.ndarray]) -> Path:
    """A recording with a channel for each track."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(tracks))
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.stack(tracks, axis=1).astype("<i2").tobytes())
    return path


async def send(settings: Settings, recording: Path, session: str) -> list[ScoreRecord]:
    """Send a call, and wait for its summary; returns its final windows."""
    await command(settings, "produce", str(recording), "--channels", "agent,customer", "--session", session, "--speed", "max", "--no-asr")
    return await finals_when_over(settings, SessionKey("default", session), 150)


async def loop_on_a_stack(directory: Path) -> Run:
    defaults = Settings()
    build_encoders(defaults.triton.model_repository)
    repository = copy_repository(defaults.triton.model_repository, directory / "models")
    plain = channels()
    calls = {
        "plain": write_call(directory / "plain.wav", plain),
        "hissed": write_call(directory / "hissed.wav", [with_hiss(own) for own in plain]),
    }
    biased = await asyncio.to_thread(add_version_that_likes_hiss, repository, directory / "biased")
    revised = await asyncio.to_thread(add_version_without_hiss, repository, biased, directory / "revised")
    assert ("1", biased, revised) == VERSIONS
    own = defaults.model_copy(
        update={
            "triton": defaults.triton.model_copy(update={"model_repository": repository}),
            "windows": defaults.windows.model_copy(update={"idle_after_ms": 600_000}),
            "reveal": defaults.reveal.model_copy(update={"share": 1.0}),
        }
    )
    scores = {}
    async with Stack(own, directory / "run") as stack:
        settings = stack.settings
        ensure_topics(settings.kafka)
        async with running_worker(settings, directory):
            for version in VERSIONS:
                if version != "1":
                    await command(settings, "models", "promote", version, *(("--force",) if version == biased else ()))
                for name, recording in calls.items():
                    scores[version, name] = await send(settings, recording, f"{name}-{version}")
        live = msgspec.json.decode(await command(settings, "reveal", "--live", "--json", code=1), type=LiveReport)
    return Run(scores, live)


def test_the_loop_with_hiss(tmp_path: Path) -> None:
    """One test for all of it: processes that test side by side would each run the loop anew."""
    run = asyncio.run(loop_on_a_stack(tmp_path))
    _the_workers_name_hiss_by_themselves_and_only_in_the_version_that_likes_it(run)
    _hiss_moves_more_windows_beyond_the_threshold_in_the_version_that_likes_it(run)
    _every_window_has_the_version_of_its_session_and_none_is_lost(run)
    _what_hiss_does_comes_back_to_what_it_does_in_the_release(run)
    _scores_of_hissed_windows_rise_and_come_back(run)


def _the_workers_name_hiss_by_themselves_and_only_in_the_version_that_likes_it(run: Run) -> None:
    assert (run.live.suspects[0].name, run.live.suspects[0].version) == ("hiss", "2")
    assert {own.version for own in run.live.suspects} == {"2"}


def _hiss_moves_more_windows_beyond_the_threshold_in_the_version_that_likes_it(run: Run) -> None:
    warned = {
        version: sum("nuisance_sensitive:hiss" in own.warnings for name in ("plain", "hissed") for own in run.scores[version, name])
        for version in VERSIONS
    }
    found = {own.version: own.warned for own in run.live.nuisances if own.name == "hiss" and own.alone}
    assert found == warned
    assert warned["2"] > max(warned["1"], warned["3"]), warned


def _every_window_has_the_version_of_its_session_and_none_is_lost(run: Run) -> None:
    for (version, recording), finals in run.scores.items():
        assert {own.model.version for own in finals} == {version}
        assert [own.end_ms for own in finals] == [own.end_ms for own in run.scores["1", recording]]


def _what_hiss_does_comes_back_to_what_it_does_in_the_release(run: Run) -> None:
    shift = {own.version: own.value for own in run.live.nuisances if own.name == "hiss" and own.alone}
    assert shift["2"] > shift["1"] + 0.3, shift
    assert shift["3"] == pytest.approx(shift["1"], abs=0.1)


def _scores_of_hissed_windows_rise_and_come_back(run: Run) -> None:
    rise = {version: run.mean(version, "hissed") - run.mean(version, "plain") for version in VERSIONS}
    assert rise["2"] > rise["1"] + 0.1, rise
    assert rise["3"] == pytest.approx(rise["1"], abs=0.1)
    assert run.mean("3", "plain") == pytest.approx(run.mean("1", "plain"), abs=0.1)
