"""Whether the worker has read everything that exists. Only then does quiet mean silence."""

from __future__ import annotations

import time
from collections.abc import Iterable

from faust import App
from faust.types import TP

from stream.agents.faust_patches.consumer import fetched_position

RETURN_S = 10.0
"""After an outage of the broker, producers reconnect later than the worker does: for this long their silence is no evidence."""


class ConsumerLag:
    """Compares the records read so far with the ends of the assigned partitions.

    Args:
        app: The Faust app.
        topics: Topics whose partitions count.
        stale_after_ms: An older answer of the broker no longer counts: the broker may be away, and may hold unread records.
    """

    def __init__(self, app: App, topics: Iterable[str], *, stale_after_ms: int) -> None:
        self._app = app
        self._topics = frozenset(topics)
        self._stale_after_ms = stale_after_ms
        self._not_before = 0.0
        """Until then (monotonic, s), `caught_up_until` says nothing."""
        self._checked_at = time.monotonic()
        self._next: dict[TP, int] = {}
        self._assigned: frozenset[TP] = frozenset()

    @property
    def partitions(self) -> int:
        """Input partitions of this worker."""
        return len(self._assigned)

    def on_assigned(self, assigned: Iterable[TP]) -> None:
        """Start again with these partitions."""
        self._next.clear()
        self._assigned = frozenset(tp for tp in assigned if tp.topic in self._topics)

    def on_revoked(self) -> None:
        """Nothing is assigned until further notice."""
        self._assigned = frozenset()

    def on_read(self, tp: TP, offset: int) -> None:
        """A record has been read."""
        self._next[tp] = offset + 1

    def caught_up_until(self) -> int | None:
        """The moment (monotonic, ms) at which the broker had nothing more for this worker in any partition.

        Returns:
            None while there is more to read. None also where the answer would not be reliable:

            * after the broker has not answered for too long, and for `RETURN_S` after it is back;
            * when this method was not called for `stale_after_ms`: the process stood still, and the first answers that it finds in its
              socket may date from before.
        """
        checked_at, self._checked_at = self._checked_at, time.monotonic()
        if self._checked_at - checked_at > self._stale_after_ms / 1000:
            self._not_before = max(self._not_before, self._checked_at + self._stale_after_ms / 1000)
        ages_ms = [self._age_ms(tp) for tp in self._assigned]
        if not ages_ms or any(age is None for age in ages_ms) or time.monotonic() < self._not_before:
            return None
        return time.monotonic_ns() // 1_000_000 - round(max(age for age in ages_ms if age is not None))

    def _age_ms(self, tp: TP) -> float | None:
        """How long ago the broker said that a partition has been read to its end; None when it does not say so now."""
        position = fetched_position(self._app, tp)
        if position is None:
            return None
        age_ms = time.time() * 1000 - position.answered_at_ms
        if age_ms > self._stale_after_ms:
            self._not_before = time.monotonic() + RETURN_S
            return None
        return max(0.0, age_ms) if self._next.get(tp, position.next_offset) >= position.end_offset else None
