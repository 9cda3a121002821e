"""Hopping windows: window k covers [k·hop, k·hop + length) of media time.

With 4 s windows every 2 s, media time 5.0 s lies in windows 1 [2, 6) and 2 [4, 8).
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

from stream.align.rule import Span
from stream.domain.features import Features


@dataclass(frozen=True, slots=True)
class HoppingGrid:
    """Where windows lie; ``hop_ms == length_ms`` makes them tumbling."""

    length_ms: int
    hop_ms: int

    @property
    def longest_ms(self) -> int:
        """All windows are of one length."""
        return self.length_ms

    def cutter(self, final_until_ms: int | None) -> HoppingCutter:
        """Goes on with the first window that is not final."""
        return HoppingCutter(self, 0 if final_until_ms is None else self.first_ms(final_until_ms))

    def first_ms(self, media_ms: int) -> int:
        """Start of the first window that ends after a media time."""
        return max(0, (media_ms - self.length_ms) // self.hop_ms + 1) * self.hop_ms


class HoppingCutter:
    """Cuts one track along the grid; windows that no chunk touches are left out."""

    __slots__ = ("_grid", "closed_until_ms")

    def __init__(self, grid: HoppingGrid, closed_until_ms: int) -> None:
        self._grid = grid
        self.closed_until_ms = closed_until_ms

    def add(self, start_ms: int, end_ms: int, features: Features | None) -> bool:
        """What a chunk holds moves no window."""
        return False

    def cut(self, first_held_ms: int, watermark: float) -> Span | None:
        """A window closes when the watermark reaches its end."""
        end_ms = self.due_ms(first_held_ms)
        if end_ms > watermark:
            return None
        start_ms = end_ms - self._grid.length_ms
        self.closed_until_ms = start_ms + self._grid.hop_ms
        return Span(start_ms, end_ms)

    def skip(self, watermark: float) -> None:
        """Windows that end by the watermark and hold nothing are closed, too."""
        if watermark < math.inf:
            self.closed_until_ms = max(self.closed_until_ms, self._grid.first_ms(math.floor(watermark)))

    def due_ms(self, first_held_ms: int) -> int:
        """End of the oldest window that holds a chunk."""
        return max(self.closed_until_ms, self._grid.first_ms(first_held_ms)) + self._grid.length_ms

    def next_end_ms(self, first_held_ms: int, watermark: float) -> float:
        """End of the first window that a chunk which waits, or one that is still to come, may touch."""
        first_ms = min(first_held_ms, watermark)
        if first_ms >= sys.maxsize:
            return math.inf
        start_ms = self.closed_until_ms if first_ms < 0 else max(self.closed_until_ms, self._grid.first_ms(math.floor(first_ms)))
        return start_ms + self._grid.length_ms

    def open_span(self, reached_ms: int) -> Span | None:
        """The oldest open window, once media has got inside it."""
        start_ms = max(self.closed_until_ms, self._grid.first_ms(reached_ms - 1))
        end_ms = start_ms + self._grid.length_ms
        return Span(start_ms, end_ms) if start_ms < reached_ms < end_ms else None
