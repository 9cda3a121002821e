"""No signal is lost, whenever it comes, and the task that it cancels can clean up."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from stream.aio.signals import run_until_signal, stop_thread_on_signals

DROPPED_BY_PYTHON = """
import asyncio, os, signal, weakref
from stream.aio import signals

class Thing: ...

async def forever():
    await asyncio.sleep(60)

signals.remember_interrupts()
thing = Thing()
reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))
del thing
signals.run_until_signal(forever())
"""


def test_an_interrupt_that_python_drops_still_ends_the_command() -> None:
    ended = subprocess.run([sys.executable, "-c", DROPPED_BY_PYTHON], capture_output=True, text=True, timeout=30, check=False)
    assert "Exception ignored" in ended.stderr
    assert "KeyboardInterrupt" in ended.stderr.splitlines()[-1]
    assert ended.returncode != 0


def test_sigterm_cancels_the_task_and_lets_it_clean_up() -> None:
    cleaned = []

    async def wait() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.01)
            cleaned.append(True)

    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(KeyboardInterrupt):
        run_until_signal(wait())
    assert cleaned == [True]


def test_a_second_signal_interrupts_synchronous_code() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_thread_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(5)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
