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
from typing import NamedTuple

from faust.types import TP


class ReadTo(NamedTuple):
    """How far a partition has been read from the broker.

    Attributes:
        position: The next offset to read. Offsets before it that hold no record for this worker are left behind: markers of transactions,
            aborted records, records that compaction removed.
        last_offset: The last record that was read; -1 if none has been since the assignment.
    """

    position: int
    last_offset: int = -1


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

    def take(self, tp: TP, acknowledged: set[int], read_to: ReadTo | None = None) -> int | None:
        """The offset to commit; None when nothing new may be committed.

        Args:
            tp: The partition.
            acknowledged: Its acknowledged offsets. Those that the commit covers are removed from the set.
            read_to: How far it has been read. Once all records are acknowledged, the commit also covers what follows them and is no
                record, so that the group's lag becomes 0 behind the marker of a transaction, too.
        """
        delivered = self._open.get(tp)
        after: int | None = None
        while delivered and delivered[0] in acknowledged:
            offset = delivered.popleft()
            acknowledged.discard(offset)
            self._committed[tp] = after = offset + 1
        done = self._committed.get(tp)
        if read_to is not None and done is not None and not delivered and read_to.last_offset < done < read_to.position:
            self._committed[tp] = after = read_to.position
        return after

    def forget(self, partitions: Iterable[TP]) -> None:
        """Forget partitions that were revoked: when they are assigned again, everything begins anew."""
        for tp in partitions:
            self._open.pop(tp, None)
            self._committed.pop(tp, None)
