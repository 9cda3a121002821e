"""How far each partition may be committed: never past a record that is unacknowledged.

Faust 0.15.3 does go past: it takes one missing offset at the head of the acknowledged ones for an offset that a compacted topic lacks, and
any number of them while nothing has been committed yet (faust-streaming/faust#606). Whoever takes over would then begin after a chunk whose
window is still open. Here only what was really delivered counts, so that neither can be mistaken for the other.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable

from faust.types import TP


class Commits:
    """Remembers which records were delivered, in the order of their offsets, until all before them are acknowledged."""

    def __init__(self) -> None:
        self._open: dict[TP, deque[int]] = {}
        self._committed: dict[TP, int] = {}

    def deliver(self, tp: TP, offset: int) -> None:
        """A record has been handed out; one that is handed out again is known, one from before a rebalance may come too early."""
        if offset < self._committed.get(tp, 0):
            return
        waiting = self._open.setdefault(tp, deque())
        if not waiting or offset > waiting[-1]:
            waiting.append(offset)
        elif offset not in waiting:
            insort(waiting, offset)

    def take(self, tp: TP, acknowledged: set[int]) -> int | None:
        """The offset to commit, None when nothing new may be.

        Args:
            tp: Which partition.
            acknowledged: Its acknowledged offsets; those that the commit covers are removed.
        """
        waiting = self._open.get(tp)
        after: int | None = None
        while waiting and waiting[0] in acknowledged:
            offset = waiting.popleft()
            acknowledged.discard(offset)
            self._committed[tp] = after = offset + 1
        return after

    def forget(self, partitions: Iterable[TP]) -> None:
        """These are another worker's now; what comes of them later begins anew."""
        for tp in partitions:
            self._open.pop(tp, None)
            self._committed.pop(tp, None)
