"""A child process that cannot outlive its parent, with its output in a file and an orderly end."""

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
"""True once the process is ready."""

POLL_S = 0.05
"""Time between two checks of a child: short beside its start, and cheap."""
LOG_LINES_IN_ERROR = 3

_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Asks Linux (PR_SET_PDEATHSIG) to kill the child when its parent ends, and then becomes the program.

The parent may end before the request is made; the launcher then ends itself. A ``preexec_fn`` would need no launcher, but it can deadlock
in a process that has threads.
"""


class ManagedProcess:
    """One child process in a session, and so in a process group, of its own.

    A terminal's Ctrl-C therefore reaches the parent only, which stops its children in order.

    Linux kills the child when the *thread* that called `start` ends. Start it from a thread that lives on, such as the main thread.

    Args:
        name: Name of the program, for messages.
        command: Program and arguments.
        log_file: Where its output goes. Output is appended, so that the log of a crash outlives the restart.
        environment: Its whole environment; default: the parent's.
        stop_timeout_s: Longest time between SIGTERM and SIGKILL.
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
        """Exit status, negative for a signal; None while it runs and before it is started.

        When it has ended, what is left of its group is killed first.
        """
        if self._child is None:
            return None
        # WNOWAIT: until the status is collected, no other process can get this id. Killing the group of an id that has been given away
        # would kill a stranger.
        if self._child.returncode is None and os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            self.kill()
        return self._child.returncode

    @property
    def running(self) -> bool:
        """True between its start and its end."""
        return self._child is not None and self.returncode is None

    async def start(self, ready: Probe, timeout_s: float) -> None:
        """Start it and wait until it is ready. If anything goes wrong, or the wait is cancelled, it does not run afterwards.

        Args:
            ready: Asked again and again.
            timeout_s: Longest wait.

        Raises:
            LocalStackError: It ended, or was not ready in time; the message has the last lines of its log.
        """
        self.spawn()
        try:
            await self._wait_until_ready(ready, timeout_s)
        except BaseException:
            self.kill()
            raise

    def spawn(self) -> None:
        """Start it and do not wait."""
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
                raise LocalStackError(f"{self.name} stopped while starting (exit code {self.returncode}){self._end_of_log()}")
            if await ready() and self.running:
                return
            if time.monotonic() >= deadline:
                raise LocalStackError(f"{self.name} was not ready after {timeout_s:g} s{self._end_of_log()}")
            await asyncio.sleep(POLL_S)

    def _end_of_log(self) -> str:
        try:
            lines = self._log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        last = [line.strip()[:300] for line in lines if line.strip()][-LOG_LINES_IN_ERROR:]
        return f"; its log {self._log_file} ends: " + " | ".join(last) if last else f"; see its log {self._log_file}"

    async def wait(self) -> int:
        """Wait for its end and return its exit status."""
        while (status := self.returncode) is None:  # noqa: ASYNC110 (asyncio has no event for the end of a Popen child)
            await asyncio.sleep(POLL_S)
        return status

    async def stop(self) -> None:
        """Send SIGTERM, wait for its end, and kill what is left of its group. Cancelling this kills at once.

        The group is killed in any case: a program that ended in order may have left children behind.
        """
        if self._child is None:
            return
        try:
            if self.running:
                os.kill(self._child.pid, signal.SIGTERM)
                async with asyncio.timeout(self._stop_timeout_s):
                    await self.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """Send SIGKILL to everything that is left of its group, and wait for the process's end. Nothing happens after its end."""
        if self._child is None or self._child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
