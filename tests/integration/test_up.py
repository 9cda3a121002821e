"""`sentistream up` as a user runs it. However it ends, no process and no file stays behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from stream.local.ports import free_port
from tests.support.processes import RunningProcess, descendants, processes_mentioning

END_S = 30.0
LAST_LINE = b"Ctrl-C stops everything."

Up = Callable[..., Awaitable[Process]]


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Up]:
    """Starts `sentistream up` with arguments; after a failed test it is killed."""
    started: list[Process] = []

    async def start(*arguments: str) -> Process:
        environment = {**os.environ, "SENTISTREAM_CACHE": str(tmp_path), "COLUMNS": "200"}
        command = (sys.executable, "-m", "stream.cli", "up", *arguments)
        started.append(await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=environment))
        return started[-1]

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def until_up(process: Process) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    output = b""
    async with asyncio.timeout(90):
        while LAST_LINE not in output:
            line = await process.stdout.readline()
            assert line, f"it ended: {output.decode()}{(await process.stderr.read()).decode()}"
            output += line
    return output.decode()


async def end(process: Process) -> tuple[int | None, str]:
    async with asyncio.timeout(END_S):
        _, errors = await process.communicate()
    return process.returncode, errors.decode()


async def all_gone(processes: list[RunningProcess]) -> None:
    async with asyncio.timeout(END_S):
        while any(process.alive() for process in processes):
            await asyncio.sleep(0.1)


async def test_ctrl_c_stops_the_services_and_the_worker(up: Up, tmp_path: Path) -> None:
    process = await up()
    output = await until_up(process)
    started = descendants(process.pid)
    assert len(started) >= 10  # broker, Redis, Triton, its four stubs, a worker, its decoder, the gateway
    page = re.search(r"live page +(http://127\.0\.0\.1:\d+/)", output)
    assert page is not None
    me = await asyncio.to_thread(httpx.get, f"{page[1]}api/v1/me")
    assert (me.json()["open"], me.json()["uploads"]) == (True, True)
    for name in ("KAFKA__BOOTSTRAP=127.0.0.1:", "REDIS__URL=redis://127.0.0.1:", "TRITON__URL=127.0.0.1:"):
        assert f"export SENTISTREAM_{name}" in output
    process.send_signal(signal.SIGINT)
    assert await end(process) == (0, "")
    assert not [child for child in started if child.alive()]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("after_s", [0.3, 1.0, 2.5])
async def test_ctrl_c_while_starting_leaves_nothing(up: Up, tmp_path: Path, after_s: float) -> None:
    process = await up("--workers", "0")
    async with asyncio.timeout(30):
        while not os.listdir(tmp_path):  # Python is still importing, for as long as the machine is busy
            await asyncio.sleep(0.01)
    await asyncio.sleep(after_s)
    started = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    code, errors = await end(process)
    assert "Traceback" not in errors
    assert code in {0, 130}
    await all_gone(started)
    assert processes_mentioning(str(tmp_path)) == []
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("after_s", [0.1, 0.3, 0.5, 0.8])
async def test_ctrl_c_while_python_imports_is_not_lost(up: Up, tmp_path: Path, after_s: float) -> None:
    """Before the handler is installed, the signal ends the process itself (-2), or Python's own start fails (1)."""
    process = await up("--workers", "0")
    await asyncio.sleep(after_s)
    started = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    code, errors = await end(process)
    assert code in {0, 130, -signal.SIGINT} or (code == 1 and "Failed to import the site module" in errors)
    await all_gone(started)
    assert processes_mentioning(str(tmp_path)) == []


async def test_sigterm_is_an_orderly_end_too(up: Up) -> None:
    process = await up("--workers", "0")
    await until_up(process)
    started = descendants(process.pid)
    process.terminate()
    assert await end(process) == (0, "")
    assert not [child for child in started if child.alive()]


async def test_when_it_is_killed_its_services_die_with_it(up: Up) -> None:
    process = await up()
    await until_up(process)
    started = descendants(process.pid)
    assert len(started) >= 9
    process.kill()
    await process.communicate()
    await all_gone(started)


async def test_a_killed_worker_ends_it_with_one_sentence(up: Up) -> None:
    process = await up()
    await until_up(process)
    started = descendants(process.pid)
    worker = next(child for child in started if " worker --ready-file " in child.command)
    os.kill(worker.pid, signal.SIGKILL)
    code, errors = await end(process)
    assert code == 1
    assert errors.count("\n") == 1
    assert "worker-0 ended with exit code -9; see" in errors
    await all_gone(started)


async def test_a_service_that_is_not_there_is_one_sentence(up: Up, tmp_path: Path) -> None:
    port = free_port()
    process = await up("--kafka", f"127.0.0.1:{port}")
    code, errors = await end(process)
    assert code == 1
    assert errors.splitlines() == [f"Kafka does not answer at 127.0.0.1:{port}; start it, or correct --kafka or kafka.bootstrap"]
    assert processes_mentioning(str(tmp_path)) == []
