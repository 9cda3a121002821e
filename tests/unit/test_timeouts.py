"""A test that hangs says where."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.support.timeouts import places_of_tasks

HANGS = """
import asyncio
import pytest
from tests.support.timeouts import pytest_timeout_set_timer

async def sleep_for_ever():
    await asyncio.Event().wait()

@pytest.fixture
async def slow_to_end():
    yield
    await sleep_for_ever()
"""


async def test_the_innermost_call_comes_first() -> None:
    async def inner() -> None:
        await asyncio.Event().wait()

    async def outer() -> None:
        await inner()

    task = asyncio.create_task(outer())
    await asyncio.sleep(0)
    (place,) = [place for place in places_of_tasks(asyncio.get_running_loop()) if "outer" in place]
    task.cancel()
    innermost, *others = place.split(" < ")
    assert innermost.endswith(" wait")
    assert [call.rpartition(" ")[2] for call in others] == ["inner", "outer"]


def test_a_fixture_that_does_not_end_fails_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(HANGS)
    (tmp_path / "test_hanging.py").write_text("async def test_it(slow_to_end):\n    pass\n")
    without = [option for plugin in ("cacheprovider", "faker", "schemathesis", "xdist") for option in ("-p", f"no:{plugin}")]
    options = (*without, "-o", "asyncio_mode=auto", "--timeout", "5", "--rootdir", str(tmp_path))
    command = (sys.executable, "-m", "pytest", *options, str(tmp_path))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "conftest.py:7 sleep_for_ever" in ran.stdout
