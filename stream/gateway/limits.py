"""How many requests somebody may make, and how many may be under way. Pure: the caller gives the time."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

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


class AtOnce:
    """How many requests of a kind that takes long may be under way.

    Args:
        each: Of one asker.
        together: Of all of them.
    """

    def __init__(self, each: int, together: int) -> None:
        self._each = each
        self._together = together
        self._under_way: Counter[str] = Counter()

    def is_full(self, asker: str) -> bool:
        """Whether another one is too many: of this asker, or of all."""
        return self.has_all_theirs(asker) or self._under_way.total() >= self._together

    def has_all_theirs(self, asker: str) -> bool:
        """Whether another one of this asker is too many."""
        return self._under_way[asker] >= self._each

    @contextmanager
    def under_way(self, asker: str) -> Iterator[None]:
        """Counts one while it is under way."""
        self._under_way[asker] += 1
        try:
            yield
        finally:
            self._under_way[asker] -= 1
            # Who has none under way is not remembered.
            self._under_way = +self._under_way
