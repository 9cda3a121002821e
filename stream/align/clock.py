"""The clock that silence is measured with: it runs only while the worker listens."""

from __future__ import annotations

from collections.abc import Callable

MAX_STEP_MS = 1000
"""Most that one step counts for: a worker that stood still for longer (a stopped process, a stalled loop) heard nothing meanwhile."""


class ListeningClock:
    """Milliseconds during which everything that existed had been read.

    It stands still while the worker catches up or is cut off, so that neither a backlog nor an outage looks like silence. That somebody
    is cut off shows only later: hence `heard_ms` goes no further than the last answer that said there was nothing more.

    Args:
        now: Monotonic clock, ms.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._heard = 0
        self._until: int | None = None

    @property
    def heard_ms(self) -> int:
        """The time up to which all is known to have been read; never goes back. Silence is judged by it."""
        return self._heard

    def tick(self, until: int | None) -> None:
        """Say several times a second up to which moment (ms, of `now`) all input has been read; None while not all has been."""
        if until is not None and self._until is not None:
            self._heard += min(max(0, until - self._until), MAX_STEP_MS)
            until = max(until, self._until)
        self._until = until

    def __call__(self) -> int:
        """The time now, for what comes now: what is not yet heard of the current step counts, too."""
        return self._heard + (0 if self._until is None else min(max(0, self._now() - self._until), MAX_STEP_MS))
