"""A group of background tasks whose failures are reported; a bare ``asyncio.create_task`` would hide them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class TaskSet:
    """Runs coroutines in the background and keeps a reference to each until it ends.

    Args:
        on_failure: Called with the error of a task that fails; a cancelled task has not failed.
    """

    def __init__(self, on_failure: Callable[[BaseException], None]) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Tasks that still run."""
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a coroutine."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        self.watch(task)
        return task

    def watch(self, task: asyncio.Task[None]) -> None:
        """Report the failure of a task that somebody else started and will cancel."""
        task.add_done_callback(self._on_done)

    async def join(self) -> None:
        """Wait until the tasks that run now have ended. Raises the error of the first that fails."""
        await asyncio.gather(*self._tasks)

    def cancel(self) -> None:
        """Cancel every task."""
        for task in self._tasks:
            task.cancel()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)
