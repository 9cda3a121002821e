"""How many requests somebody may make. Pure: the caller gives the time."""

from __future__ import annotations

import math
from collections import OrderedDict

REMEMBERED = 10_000
"""Askers who are remembered. Of more, the one who asked first is forgotten, and has all requests again."""


class RateLimit:
    """A bucket for each asker, which is filled again steadily.

    Args:
        per_minute: Requests in a minute, and most at once.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, asker: str, now_s: float) -> int:
        """Count a request. Returns 0 if it may be made, else the time (s) to wait, and does not count it."""
        if wait_s := self.would_wait_s(asker, now_s):
            return wait_s
        self._buckets[asker] = self._left(asker, now_s) - 1, now_s
        self._buckets.move_to_end(asker)
        while len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return 0

    def would_wait_s(self, asker: str, now_s: float) -> int:
        """As `wait_s`, without counting."""
        left = self._left(asker, now_s)
        return 0 if left >= 1 else math.ceil((1 - left) * 60 / self._per_minute)

    def _left(self, asker: str, now_s: float) -> float:
        left, at_s = self._buckets.get(asker, (float(self._per_minute), now_s))
        return min(float(self._per_minute), left + (now_s - at_s) * self._per_minute / 60)
