"""The gateway as a child process of `up` and `demo`: the live page of what they run."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from stream.config.settings import Settings
from stream.local.environment import child_environment
from stream.local.errors import LocalStackError
from stream.local.events import OnEvent, ServiceState, StackEvent, ignore_event
from stream.local.ports import is_free
from stream.local.process import ManagedProcess
from stream.local.supervisor import Supervisor

NAME = "gateway"
START_TIMEOUT_S = 60.0
"""A start takes a second or two: imports. Beside the other starts of a demo, on few cores, it takes several times as long."""
NEEDED = ("litestar", "uvicorn", "joserfc", "argon2")
ANY_PORT = 0


def gateway_is_installed() -> bool:
    """Whether the extra `gateway` is installed."""
    return all(importlib.util.find_spec(name) is not None for name in NEEDED)


class LocalGateway:
    """An async context manager that runs a gateway, and starts it again if it ends.

    It takes the port of the setting `gateway.port`, or any other if that is taken: nothing else depends on the page.

    Args:
        settings: The effective settings, with the services' addresses.
        run_directory: For its log and ready file; it must exist.
        port: The port that it has to take; None as above, 0 for any.
        on_event: Called with every change.
    """

    def __init__(self, settings: Settings, run_directory: Path, port: int | None = None, on_event: OnEvent = ignore_event) -> None:
        self._settings = settings
        self._run_directory = run_directory
        self._ready_file = run_directory / f"{NAME}.ready"
        self._given = port
        self._on_event = on_event
        self._supervising: asyncio.Task[None] | None = None
        self.address = ""
        """Of the page."""
        self.process = self._process(ANY_PORT)

    async def __aenter__(self) -> Self:
        began = time.monotonic()
        self._on_event(StackEvent(NAME, ServiceState.STARTING))
        await self._start()
        self._on_event(StackEvent(NAME, ServiceState.READY, self.address, time.monotonic() - began))
        self._supervising = asyncio.create_task(self._supervise(), name=f"supervise-{NAME}")
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if self._supervising is not None:
            self._supervising.cancel()
            await asyncio.gather(self._supervising, return_exceptions=True)
        await self.process.stop()

    async def restart(self) -> None:
        """Start it again on the same port. Raises `LocalStackError`."""
        await self._start_at(int(self.address.rstrip("/").rpartition(":")[2]))

    async def _start(self) -> None:
        if self._given is not None:
            await self._start_at(self._given)
            return
        wanted = self._settings.gateway.port
        try:
            await self._start_at(wanted if is_free(wanted) else ANY_PORT)
        except LocalStackError:
            # Another program may have taken the port in between. If that is not the reason, this start fails as well.
            await self._start_at(ANY_PORT)

    async def _start_at(self, port: int) -> None:
        self._ready_file.unlink(missing_ok=True)
        self.process = self._process(port)

        async def ready() -> bool:
            return self._ready_file.exists()

        await self.process.start(ready, START_TIMEOUT_S)
        self.address = self._ready_file.read_text().strip()

    async def _supervise(self) -> None:
        try:
            await Supervisor(NAME, self, self._on_event).run()
        except LocalStackError:
            # It was reported as failed. Scores do not need the page.
            return

    def _process(self, port: int) -> ManagedProcess:
        of_gateway = self._settings.gateway.model_copy(update={"port": port, "uploads": True})
        return ManagedProcess(
            NAME,
            [sys.executable, "-m", "stream.cli", "gateway", "--ready-file", str(self._ready_file)],
            self._run_directory / f"{NAME}.log",
            {**child_environment(self._settings.model_copy(update={"gateway": of_gateway})), "TMPDIR": str(self._run_directory)},
        )
