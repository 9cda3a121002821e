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

    def caught_up(self) -> bool:
        """True when the broker has just told the ends of all assigned partitions, they have been reached, and it was not away lately."""
        reached = [self._reached(tp) for tp in self._assigned]
        return bool(reached) and all(reached) and time.monotonic() >= self._listening_from

    def _reached(self, tp: TP) -> bool:
        consumer = cast(Consumer, self._app.consumer)._thread._ensure_consumer()
        subscription = consumer._subscription.subscription
        state = subscription and subscription.assignment and subscription.assignment.state_value(tp)
        if state is None or state.highwater is None or not state.has_valid_position:
            return False
        if state.timestamp is None or time.time() * 1000 - state.timestamp > self._stale_after_ms:
            if state.timestamp is not None:
                self._listening_from = time.monotonic() + RETURN_S
            return False
        return bool(self._next.get(tp, state.position) >= state.highwater)
