"""No Ctrl-C is lost, whenever it comes."""

from __future__ import annotations

import subprocess
import sys

DROPPED_BY_PYTHON = """
import asyncio, os, signal, weakref
from stream.cli import interrupt

class Thing: ...

async def forever():
    await asyncio.sleep(60)

interrupt.notice()
thing = Thing()
reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))
del thing
interrupt.run(forever())
"""


def test_an_interrupt_that_python_drops_still_ends_the_command() -> None:
    ended = subprocess.run([sys.executable, "-c", DROPPED_BY_PYTHON], capture_output=True, text=True, timeout=30, check=False)
    assert "Exception ignored" in ended.stderr
    assert "KeyboardInterrupt" in ended.stderr.splitlines()[-1]
    assert ended.returncode != 0
