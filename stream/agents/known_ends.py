"""Since when a worker knows that a record exists: pure."""

from __future__ import annotations

from collections import deque

MOST = 1_024
"""Ends that are remembered of a partition. Past that every second one is forgotten: ages are then too small by some tenths of a second."""


class KnownEnds:
    """The ends that the broker gave of one partition, each with the moment of its answer.

    They say how long a record has waited at least. The timestamps of records do not: most are made by the clocks of producers, which may
    be wrong.
    """

    def __init__(self) -> None:
        self._ends: deque[tuple[int, int]] = deque()

    def note(self, end_offset: int, at_ms: int) -> None:
        """The broker has said where the partition ends."""
        if self._ends and self._ends[-1][0] >= end_offset:
            return
        if len(self._ends) >= MOST:
            self._ends = deque(list(self._ends)[1::2])
        self._ends.append((end_offset, at_ms))

    def on_read(self, offset: int) -> None:
        """All records up to this one have been read."""
        while self._ends and self._ends[0][0] <= offset + 1:
            self._ends.popleft()

    def known_at_ms(self, offset: int) -> int | None:
        """When a record was first known of; None if it has not been. Records that were read before need not be asked for."""
        return next((at_ms for end_offset, at_ms in self._ends if end_offset > offset), None)
