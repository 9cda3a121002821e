"""Has everything that exists been read? Only then does quiet mean silence."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import cast

from faust import App
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

RETURN_S = 10.0
"""After the broker was away producers come back later than we do; so long their silence says nothing."""


class Progress:
    """Compares what has been taken in with the ends of the assigned partitions.

    Args:
        app: The Faust app.
        topics: Topics whose partitions count.
        stale_after_ms: What the broker said longer ago counts no more: it may be away, and hold records that nobody has read.
    """

    def __init__(self, app: App, topics: Iterable[str], *, stale_after_ms: int) -> None:
        self._app = app
        self._topics = frozenset(topics)
        self._stale_after_ms = stale_after_ms
        self._listening_from = 0.0
        self._looked_at = time.monotonic()
        self._next: dict[TP, int] = {}
        self._assigned: frozenset[TP] = frozenset()

    @property
    def partitions(self) -> int:
        """Input partitions of this worker."""
        return len(self._assigned)

    def on_assigned(self, assigned: Iterable[TP]) -> None:
        """Start over with these partitions."""
        self._next.clear()
        self._assigned = frozenset(tp for tp in assigned if tp.topic in self._topics)

    def on_revoked(self) -> None:
        """Nothing is assigned until further notice."""
        self._assigned = frozenset()

    def on_read(self, tp: TP, offset: int) -> None:
        """A record has been taken in."""
        self._next[tp] = offset + 1

    def heard_until(self) -> int | None:
        """The moment (monotonic, ms) at which the broker had nothing more for us in any partition.

        None while there is more, after the broker has not answered for too long, and for a while when it is back. Likewise when nobody
        has asked for as long: this process stood still, and the first answers that it finds may be from before.
        """
        looked_at, self._looked_at = self._looked_at, time.monotonic()
        if self._looked_at - looked_at > self._stale_after_ms / 1000:
            self._listening_from = max(self._listening_from, self._looked_at + self._stale_after_ms / 1000)
        ages_ms = [self._age_ms(tp) for tp in self._assigned]
        if not ages_ms or any(age is None for age in ages_ms) or time.monotonic() < self._listening_from:
            return None
        return time.monotonic_ns() // 1_000_000 - round(max(age for age in ages_ms if age is not None))

    def _age_ms(self, tp: TP) -> float | None:
        """How long ago the broker said that a partition has been read to its end; None when it does not say so now."""
        consumer = cast(Consumer, self._app.consumer)._thread._ensure_consumer()
        subscription = consumer._subscription.subscription
        state = subscription and subscription.assignment and subscription.assignment.state_value(tp)
        if state is None or state.highwater is None or not state.has_valid_position or state.timestamp is None:
            return None
        age_ms = time.time() * 1000 - state.timestamp
        if age_ms > self._stale_after_ms:
            self._listening_from = time.monotonic() + RETURN_S
            return None
        return max(0.0, age_ms) if self._next.get(tp, state.position) >= state.highwater else None
