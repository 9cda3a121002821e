"""A clock to measure silence with: it runs only while the worker has read everything that exists."""

from __future__ import annotations

from collections.abc import Callable

MAX_STEP_MS = 1000
"""Longest time that one step counts for. A worker that was stopped for longer (SIGSTOP, a stalled loop) read nothing in that time."""


class CaughtUpClock:
    """Counts the milliseconds during which everything that existed had been read.

    It stands still while the worker catches up or has lost its connection, so that neither a backlog nor an outage looks like silence.
    A lost connection is noticed only afterwards. Hence `caught_up_ms` goes no further than the broker's last answer that said that
    there was nothing more.

    Args:
        now: Monotonic clock, ms.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._caught_up = 0
        self._until: int | None = None

    @property
    def caught_up_ms(self) -> int:
        """The time up to which everything is known to have been read; it never goes back. Silence is judged by it."""
        return self._caught_up

    def tick(self, until: int | None) -> None:
        """Advance the clock. Called several times a second.

        Args:
            until: The moment (ms, of `now`) up to which all input has been read; None while some has not been read.
        """
        if until is not None and self._until is not None:
            self._caught_up += min(max(0, until - self._until), MAX_STEP_MS)
            until = max(until, self._until)
        self._until = until

    def __call__(self) -> int:
        """The time to stamp arrivals with: it includes the part of the current step that no answer has confirmed yet."""
        return self._caught_up + (0 if self._until is None else min(max(0, self._now() - self._until), MAX_STEP_MS))
