"""Decides how far each partition may be committed: never past a record that is unacknowledged.

Faust 0.15.3 does commit past such records: if one offset is missing before the acknowledged ones, it assumes that a compacted topic lacks
it; while nothing has been committed yet, it assumes that of any number of offsets (faust-streaming/faust#606). The worker that takes over
would then begin behind a chunk whose window is still open, and that window would lack the chunk. Here only records that were really
delivered count, so that a record that waits cannot be mistaken for an offset that does not exist.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable

from faust.types import TP


class Commits:
    """Remembers which records were delivered, in the order of their offsets, until all records before them are acknowledged."""

    def __init__(self) -> None:
        self._open: dict[TP, deque[int]] = {}
        self._committed: dict[TP, int] = {}

    def deliver(self, tp: TP, offset: int) -> None:
        """A record has been delivered. A record that is delivered again, or that is left over from before a rebalance, changes nothing."""
        if offset < self._committed.get(tp, 0):
            return
        delivered = self._open.setdefault(tp, deque())
        if not delivered or offset > delivered[-1]:
            delivered.append(offset)
        elif offset not in delivered:
            insort(delivered, offset)

    def take(self, tp: TP, acknowledged: set[int]) -> int | None:
        """The offset to commit; None when nothing new may be committed.

        Args:
            tp: The partition.
            acknowledged: Its acknowledged offsets. Those that the commit covers are removed from the set.
        """
        delivered = self._open.get(tp)
        after: int | None = None
        while delivered and delivered[0] in acknowledged:
            offset = delivered.popleft()
            acknowledged.discard(offset)
            self._committed[tp] = after = offset + 1
        return after

    def forget(self, partitions: Iterable[TP]) -> None:
        """Forget partitions that were revoked: when they are assigned again, everything begins anew."""
        for tp in partitions:
            self._open.pop(tp, None)
            self._committed.pop(tp, None)
