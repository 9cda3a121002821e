"""Workers as child processes of `up`, `demo` and the tests."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from stream.config.settings import HealthSettings, Settings
from stream.local.environment import child_environment
from stream.local.events import Change, OnEvent, StackEvent, ignore
from stream.local.process import ManagedProcess

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
"""A worker that has drained commits and leaves its consumer group."""


class Workers:
    """Async context manager: inside it, so many workers run and have their partitions.

    Args:
        settings: The effective settings, with the services' addresses.
        run_directory: For logs and ready files; must exist.
        count: How many.
        on_event: Told of every change.
    """

    def __init__(self, settings: Settings, run_directory: Path, count: int = 1, on_event: OnEvent = ignore) -> None:
        self._settings = settings
        self._run_directory = run_directory
        self._count = count
        self._on_event = on_event
        self.processes: list[ManagedProcess] = []

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(self._count):
                    tasks.create_task(self.start_one(number))
        except BaseException as error:
            await self._stop()
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self._stop()

    async def _stop(self) -> None:
        await asyncio.gather(*(process.stop() for process in self.processes))

    async def start_one(self, number: int) -> ManagedProcess:
        """Start one more worker and wait until it has its partitions. Raises `LocalStackError`."""
        began = time.monotonic()
        name = f"worker-{number}"
        ready_file = self._run_directory / f"{name}.ready"
        ready_file.unlink(missing_ok=True)
        process = ManagedProcess(
            name,
            [sys.executable, "-m", "stream.cli", "worker", "--ready-file", str(ready_file)],
            self._run_directory / f"{name}.log",
            self._environment(number),
            stop_timeout_s=self._settings.limits.drain_s + STOP_TIMEOUT_S,
        )
        self.processes.append(process)
        self._on_event(StackEvent(name, Change.STARTING))

        async def ready() -> bool:
            return ready_file.exists()

        await process.start(ready, START_TIMEOUT_S)
        self._on_event(StackEvent(name, Change.READY, seconds=time.monotonic() - began))
        return process

    def _environment(self, number: int) -> dict[str, str]:
        """Temporary files go with the run, however the worker ends; only the first worker can have the one health port."""
        alone = self._settings if number == 0 else self._settings.model_copy(update={"health": HealthSettings()})
        return {**child_environment(alone), "TMPDIR": str(self._run_directory)}

    async def failed(self) -> str:
        """Wait until a worker ends by itself; one sentence about it."""
        ends = [asyncio.create_task(process.wait()) for process in self.processes]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        dead = next(process for process in self.processes if not process.running)
        return f"{dead.name} ended with exit code {dead.returncode}; see {self._run_directory / dead.name}.log"
