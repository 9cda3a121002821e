"""Detects cancellations that Python 3.11 would swallow.

redis-py writes under `asyncio.wait_for`. Up to Python 3.11 that returns its result, instead of raising, when a cancellation arrives just as
the write is done (python/cpython#86296). The task would continue as if nothing had happened, and a caller that waits for its end would wait
for ever.
"""

from __future__ import annotations

import asyncio


class CancellationGuard:
    """Detects cancellations of the current task since the guard was made."""

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._count()

    def check(self) -> None:
        """Raise ``asyncio.CancelledError`` if the task was cancelled in the meantime although nothing has raised it."""
        if self._count() > self._before:
            raise asyncio.CancelledError

    def _count(self) -> int:
        return self._task.cancelling() if self._task is not None else 0
