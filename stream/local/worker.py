"""Workers as child processes of `up`, `demo` and the tests."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from stream.config.settings import Settings
from stream.config.worker_settings import HealthSettings
from stream.local.environment import child_environment
from stream.local.events import OnEvent, ServiceState, StackEvent, ignore_event
from stream.local.process import ManagedProcess

START_TIMEOUT_S = 60.0
"""A start takes several seconds: imports, the decoder processes, and joining the consumer group, which Kafka holds up while it waits for
further members. Several workers on few cores take several times as long."""
STOP_TIMEOUT_S = 15.0
"""On top of ``limits.drain_s``: a worker that has drained still commits and leaves its consumer group."""


class Workers:
    """An async context manager that runs workers. On entry it waits until each of them has its partitions.

    Args:
        settings: The effective settings, with the services' addresses.
        run_directory: For logs and ready files; it must exist.
        count: Number of workers.
        on_event: Called with every change.
    """

    def __init__(self, settings: Settings, run_directory: Path, count: int = 1, on_event: OnEvent = ignore_event) -> None:
        self._settings = settings
        self._run_directory = run_directory
        self._count = count
        self._on_event = on_event
        self.processes: list[ManagedProcess] = []

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(self._count):
                    tasks.create_task(self.start_worker(number))
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

    async def start_worker(self, number: int) -> ManagedProcess:
        """Start a worker and wait until it has its partitions. Raises `LocalStackError`."""
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
        self._on_event(StackEvent(name, ServiceState.STARTING))

        async def ready() -> bool:
            return ready_file.exists()

        await process.start(ready, START_TIMEOUT_S)
        self._on_event(StackEvent(name, ServiceState.READY, seconds=time.monotonic() - began))
        return process

    def _environment(self, number: int) -> dict[str, str]:
        """The worker's environment.

        Its temporary files go into the run directory, so that they are removed even if the worker is killed. Only the first worker gets the
        health endpoints: all of them run on this machine, and one port has room for one.
        """
        settings = self._settings if number == 0 else self._settings.model_copy(update={"health": HealthSettings()})
        # The worker's matrices are small: threads for them cost more than they gain.
        return {"OMP_NUM_THREADS": "1", **child_environment(settings), "TMPDIR": str(self._run_directory)}

    async def wait_for_failure(self) -> str:
        """Wait until a worker ends by itself, and return a sentence about it."""
        ends = [asyncio.create_task(process.wait()) for process in self.processes]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        dead = next(process for process in self.processes if not process.running)
        return f"{dead.name} ended with exit code {dead.returncode}; see {self._run_directory / dead.name}.log"
