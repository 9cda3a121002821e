"""Hopping windows: window k covers [k·hop, k·hop + length) of media time.

With 4 s windows every 2 s, media time 5.0 s lies in windows 1 [2, 6) and 2 [4, 8).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HoppingGrid:
    """Where windows lie; ``hop_ms == length_ms`` makes them tumbling."""

    length_ms: int
    hop_ms: int

    def first(self, start_ms: int) -> int:
        """Lowest window that ends after ``start_ms``."""
        return max(0, (start_ms - self.length_ms) // self.hop_ms + 1)

    def last(self, end_ms: int) -> int:
        """Highest window that starts before ``end_ms``."""
        return max(0, (end_ms - 1) // self.hop_ms)

    def start_ms(self, window: int) -> int:
        """First media millisecond of a window."""
        return window * self.hop_ms

    def end_ms(self, window: int) -> int:
        """Media millisecond after a window."""
        return window * self.hop_ms + self.length_ms

    def after(self, end_ms: int) -> int:
        """Lowest window whose end is later than ``end_ms``: where to go on when windows up to ``end_ms`` are final."""
        return max(0, (end_ms - self.length_ms) // self.hop_ms + 1)
