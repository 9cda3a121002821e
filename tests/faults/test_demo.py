"""A service of a running demo is killed, or the demo itself: no window is lost, and no process stays."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from stream.config.settings import Settings
from stream.local.triton import TritonServer
from stream.produce.sample import FACES
from tests.support.demo import Demo, run_demo, survivors

WORDS = FACES.with_suffix(".vtt")


@pytest.fixture(scope="module")
def expected_ends() -> set[int]:
    """Ends of the final windows of an undisturbed run."""
    return {line["end_ms"] for line in run_demo("--speed", "max", "--transcript", WORDS, FACES).events("score")}


@pytest.mark.parametrize("victim", ["tritonserver --", "triton_python_backend_stub"])
def test_triton_killed_in_mid_run_costs_no_window(victim: str, expected_ends: set[int]) -> None:
    demo = Demo("--transcript", WORDS, FACES)
    before = demo.read_until("score")
    os.kill(demo.wait_for(victim).pid, signal.SIGKILL)
    result = demo.finish()
    assert result.code == 0, result.errors
    finals = [line["end_ms"] for line in (*before, *result.lines) if line["event"] == "score"]
    assert len(finals) == len(set(finals))
    assert set(finals) == expected_ends
    assert result.lines[-1]["dead_letters"] == 0


async def test_a_triton_of_the_user_that_goes_away_is_said_and_costs_no_window(expected_ends: set[int], tmp_path: Path) -> None:
    triton = TritonServer(Settings().triton.model_repository, tmp_path)
    await triton.start()
    demo = Demo("--triton", triton.grpc_url, "--transcript", WORDS, FACES)
    before = await asyncio.to_thread(demo.read_until, "score")
    triton.process.kill()
    await asyncio.sleep(6)
    await triton.restart()
    result = await asyncio.to_thread(demo.finish)
    await triton.stop()
    assert result.code == 0, result.errors
    assert f"✗ Triton does not answer at {triton.grpc_url}; start it, or correct --triton or triton.url" in result.errors
    assert "✓ triton can be used again" in result.errors
    assert {line["end_ms"] for line in (*before, *result.lines) if line["event"] == "score"} == expected_ends


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopping_in_mid_run_leaves_nothing_behind(number: signal.Signals) -> None:
    demo = Demo("--transcript", WORDS, FACES)
    demo.read_until("score")
    started = demo.descendants()
    assert len(started) > 4
    demo.process.send_signal(number)
    assert demo.finish(20).code != 0
    assert survivors(started) == []


def test_stopping_while_it_starts_leaves_nothing_behind() -> None:
    demo = Demo("--transcript", WORDS, FACES)
    demo.wait_for("valkey-server")
    started = demo.descendants()
    demo.process.send_signal(signal.SIGINT)
    assert demo.finish(20).code != 0
    assert survivors(started) == []
