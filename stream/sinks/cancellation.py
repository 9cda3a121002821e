"""Cancellations that Python 3.11 would swallow.

redis-py writes under `asyncio.wait_for`, which up to Python 3.11 returns its result instead of raising when the cancellation arrives just
as the write is done (python/cpython#86296). The task would go on as if nothing had happened, and whoever waits for its end for ever.
"""

from __future__ import annotations

import asyncio


class CancellationGuard:
    """Notices cancellations of the current task since this was made."""

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._count()

    def check(self) -> None:
        """Raise ``asyncio.CancelledError`` if the task was cancelled in the meantime, although nothing has raised it."""
        if self._count() > self._before:
            raise asyncio.CancelledError

    def _count(self) -> int:
        return self._task.cancelling() if self._task is not None else 0
