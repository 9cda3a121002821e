"""The clock that silence is measured with: it runs only while the worker listens."""

from __future__ import annotations

from collections.abc import Callable

MAX_STEP_MS = 1000
"""Most that one step counts for: a worker that stood still for longer (a stopped process, a stalled loop) heard nothing meanwhile."""


class ListeningClock:
    """Milliseconds during which everything that existed had been read.

    It stands still while the worker catches up or is cut off, so that neither a backlog nor an outage looks like silence.

    Args:
        now: Monotonic clock, ms.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._elapsed = 0
        self._listening_since: int | None = None

    def tick(self, *, live: bool) -> None:
        """Say several times a second whether all input has been read; the time between two that say so counts."""
        now = self._now()
        if live and self._listening_since is not None:
            self._elapsed += min(max(0, now - self._listening_since), MAX_STEP_MS)
        self._listening_since = now if live else None

    def __call__(self) -> int:
        """The time; it never goes back."""
        return self._elapsed
