"""Decides when a session that sends nothing more has ended."""

from __future__ import annotations

import math


class Expiry:
    """Deadlines of one epoch of a session, in milliseconds on the caller's clock.

    Args:
        end_grace_ms: How long to wait for chunks that a session's end has counted.
        expire_after_ms: A session without any record for this long has ended.
        now: The time now.
    """

    __slots__ = ("_end_grace_ms", "_expire_after_ms", "_last_record_at", "_retire_at")

    def __init__(self, end_grace_ms: int, expire_after_ms: int, now: int) -> None:
        self._end_grace_ms = end_grace_ms
        self._expire_after_ms = expire_after_ms
        self._last_record_at = now
        self._retire_at = math.inf

    def on_record(self, now: int) -> None:
        """A record of the session has arrived."""
        self._last_record_at = now

    def retire(self, now: int) -> None:
        """A newer epoch has begun: only chunks that are on their way are still waited for."""
        self._retire_at = min(self._retire_at, now + self._end_grace_ms)

    def expires_at(self, *, is_leftover: bool) -> float:
        """Time at which the epoch ends, unless a record arrives before.

        Args:
            is_leftover: The epoch has received repeated chunks only: it is what remains of a session that is done, and expires sooner.
        """
        return min(self._last_record_at + (self._end_grace_ms if is_leftover else self._expire_after_ms), self._retire_at)

    @property
    def end_grace_over_at(self) -> float:
        """When to stop waiting for chunks, once the session's end is known."""
        return min(self._last_record_at + self._end_grace_ms, self._retire_at)
