"""A child process that cannot outlive us, with its output in a file and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from stream.local.errors import LocalStackError

Probe = Callable[[], Awaitable[bool]]

POLL_S = 0.05
LOG_LINES_IN_ERROR = 3

_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Asks Linux (PR_SET_PDEATHSIG) to kill the child with its parent, then becomes the program; a ``preexec_fn`` is not safe with threads."""


class ManagedProcess:
    """One child process in its own session, hence its own process group: a terminal's Ctrl-C reaches only us.

    When the thread that called `start` ends, in whatever way, Linux kills the child; so start from a thread that lives on.

    Args:
        name: What it is, for messages.
        command: Program and arguments.
        log_file: Where its output goes; appended, so that a restart keeps what was said before.
        environment: Its whole environment; None = ours.
        stop_timeout_s: Between SIGTERM and SIGKILL.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_file: Path,
        environment: Mapping[str, str] | None = None,
        stop_timeout_s: float = 5.0,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._log_file = log_file
        self._environment = dict(os.environ if environment is None else environment)
        self._stop_timeout_s = stop_timeout_s
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id. Raises ``RuntimeError`` before `start`."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None while it runs or before it was started."""
        return None if self._child is None else self._child.poll()

    @property
    def running(self) -> bool:
        """True between its start and its end."""
        return self._child is not None and self._child.poll() is None

    async def start(self, ready: Probe, timeout_s: float) -> None:
        """Start it and wait until the probe answers True. Whatever goes wrong, it does not run afterwards.

        Raises:
            LocalStackError: It ended, or was not ready in time; with the last lines of its log.
        """
        self.spawn()
        try:
            await self._wait_until_ready(ready, timeout_s)
        except BaseException:
            self.kill()
            raise

    def spawn(self) -> None:
        """Start it without waiting."""
        command = self._command
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
        with self._log_file.open("ab") as log:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=self._environment, start_new_session=True
            )

    async def _wait_until_ready(self, ready: Probe, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            if not self.running:
                raise LocalStackError(f"{self.name} stopped while starting (exit code {self.returncode}){self._last_words()}")
            if await ready() and self.running:
                return
            if time.monotonic() >= deadline:
                raise LocalStackError(f"{self.name} was not ready after {timeout_s:g} s{self._last_words()}")
            await asyncio.sleep(POLL_S)

    def _last_words(self) -> str:
        try:
            lines = self._log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        said = [line.strip()[:300] for line in lines if line.strip()][-LOG_LINES_IN_ERROR:]
        return f"; its log {self._log_file} ends: " + " | ".join(said) if said else f"; see its log {self._log_file}"

    async def wait(self) -> int:
        """Wait for its end; its exit status."""
        while (status := self.returncode) is None:  # noqa: ASYNC110 (a child's end sets no event of ours)
            await asyncio.sleep(POLL_S)
        return status

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL for it and everything in its group; returns when it is gone. Cancelled, it kills at once."""
        if self._child is None:
            return
        try:
            if self.running:
                self._child.send_signal(signal.SIGTERM)
                async with asyncio.timeout(self._stop_timeout_s):
                    await self.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL for it and everything left in its group."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
