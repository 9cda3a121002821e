"""A managed process starts and stops, and never outlives its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stream.local.errors import LocalStackError
from stream.local.process import ManagedProcess
from tests.support.processes import exists

SLEEPER = "import time; print('awake', flush=True); time.sleep(600)"
IGNORES_SIGTERM = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('awake', flush=True); time.sleep(600)"
HAS_A_CHILD = "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"


def python(code: str, log: Path, stop_timeout_s: float = 5.0) -> ManagedProcess:
    return ManagedProcess("the sleeper", [sys.executable, "-c", code], log, stop_timeout_s=stop_timeout_s)


async def start(process: ManagedProcess, log: Path) -> None:
    async def has_printed() -> bool:
        return log.read_text().endswith("\n")

    await process.start(has_printed, 20)


async def test_a_process_starts_stops_and_starts_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = python(SLEEPER, log)
    await start(process, log)
    first = process.pid
    assert process.running
    assert os.getpgid(first) == first != os.getpgrp()
    await process.stop()
    assert (process.running, process.returncode) == (False, -signal.SIGTERM)
    await process.start(lambda: asyncio.sleep(0, result=True), 5)
    assert process.pid != first
    await process.stop()


async def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = python(IGNORES_SIGTERM, log, stop_timeout_s=0.2)
    await start(process, log)
    await process.stop()
    assert process.returncode == -signal.SIGKILL


async def test_the_children_of_a_process_end_with_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = python(HAS_A_CHILD, log)
    await start(process, log)
    child = int(log.read_text())
    assert exists(child)
    await process.stop()
    await until_gone(child)


async def test_the_children_of_a_process_end_when_its_own_end_is_noticed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = python(HAS_A_CHILD, log)
    await start(process, log)
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    await until_gone(int(log.read_text()))


async def test_a_process_that_has_ended_is_not_signalled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its id may be that of another process by then."""
    process = python("", tmp_path / "log")
    process.spawn()
    assert await process.wait() == 0
    signalled: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda pid, _signal: signalled.append(pid))
    monkeypatch.setattr(os, "kill", lambda pid, _signal: signalled.append(pid))
    process.kill()
    await process.stop()
    assert signalled == []


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(5):
        while exists(pid):
            await asyncio.sleep(0.02)


async def test_a_process_that_ends_early_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = python("import sys; print('the reason', file=sys.stderr); sys.exit(3)", tmp_path / "log")
    with pytest.raises(LocalStackError, match=r"the sleeper stopped while starting \(exit code 3\).*the reason"):
        await process.start(lambda: asyncio.sleep(0, result=False), 20)


async def test_a_process_that_never_becomes_ready_is_stopped(tmp_path: Path) -> None:
    process = python(SLEEPER, tmp_path / "log")
    with pytest.raises(LocalStackError, match=r"not ready after 0\.3 s"):
        await process.start(lambda: asyncio.sleep(0, result=False), 0.3)
    assert not process.running


async def test_a_cancelled_start_leaves_no_process(tmp_path: Path) -> None:
    process = python(SLEEPER, tmp_path / "log")
    starting = asyncio.create_task(process.start(lambda: asyncio.sleep(0, result=False), 60))
    await asyncio.sleep(0.1)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not process.running


PARENT = """
import asyncio, sys
from pathlib import Path
from stream.local.process import ManagedProcess
process = ManagedProcess("child", [sys.executable, "-c", "import time; time.sleep(600)"], Path(sys.argv[1]))
process.spawn()
print(process.pid, flush=True)
asyncio.run(asyncio.sleep(600))
"""


async def test_a_process_dies_with_its_killed_parent(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, str(tmp_path / "log"), stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    await asyncio.sleep(0.3)  # the launcher needs time to ask the kernel for a signal at the parent's death
    assert exists(child)
    parent.kill()
    await parent.wait()
    await until_gone(child)
