"""How media time is cut into windows: the interface of every windower, and hopping windows.

A *windower* holds the configuration and is shared by all tracks. It builds a *windower logic* for each track, which holds the state of that
track. The track calls the logic in a fixed order, as Bytewax calls its ``WindowerLogic``:

1. `WindowerLogic.on_chunk` for each new chunk, in the order of arrival.
2. `WindowerLogic.close_window`, again and again until it returns None, each time the watermark has moved.
3. `WindowerLogic.close_gap` once after that, to close media time that no window will cover.

Hopping windows: window k covers [k * hop, k * hop + length) of media time. With windows of 4 s every 2 s, media time 5.0 s lies in
windows 1, [2, 6), and 2, [4, 8).
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from stream.domain.features import Features


class Span(NamedTuple):
    """Half-open span of media time, ms."""

    start_ms: int
    end_ms: int


class WindowerLogic(Protocol):
    """Cuts the media time of one track into windows, in order.

    A decision may depend only on the chunks passed to `on_chunk` and on `closed_until_ms`, and it may be made only once the watermark has
    passed everything that it depends on. Then neither the order in which chunks arrive nor a replay changes a window.
    """

    closed_until_ms: int
    """No further window starts before this media time. It never goes back. A chunk that ends by then is in no further window."""

    def on_chunk(self, start_ms: int, end_ms: int, features: Features | None) -> bool:
        """Called once for each new chunk that ends after `closed_until_ms`, before anything is closed.

        Args:
            start_ms: Media time at which the chunk starts.
            end_ms: Media time at which it ends.
            features: Its content; None for a chunk that could not be decoded.

        Returns:
            True when the chunk may let a window close although the watermark has not moved.
        """

    def due_window(self, first_held_ms: int, watermark: float) -> Span | None:
        """The window that `close_window` would close now, or would with this watermark. Changes nothing.

        Called when words arrive, with the media time up to which words have arrived: the words of that window are encoded ahead.
        """

    def close_window(self, first_held_ms: int, watermark: float) -> Span | None:
        """Called each time the watermark has moved, until it returns None. Must close one window and return it, or return None.

        Args:
            first_held_ms: Start of the first chunk that is held. At least one is.
            watermark: Media time up to which all chunks have arrived; infinite when no more will.
        """

    def close_gap(self, watermark: float) -> None:
        """Called after `close_window` returned None. Must move `closed_until_ms` past media time that no window will cover."""

    def notify_at_ms(self, first_held_ms: int) -> int:
        """The watermark at which the next window closes, or at which the held chunks turn out to be in none.

        Called to set a timer, and while all modalities are quiet: the clock then moves the watermark from one such point to the next.
        """

    def next_end_ms(self, first_held_ms: int, watermark: float) -> float:
        """No window that is still open ends before this media time; infinite when none can come.

        Called when another track of the session decides whether it still has to wait for a window of this one.

        Args:
            first_held_ms: Start of the first held chunk; ``sys.maxsize`` if no chunk is held.
            watermark: Media time up to which all chunks have arrived; infinite when no more will.
        """

    def open_window(self, reached_ms: int) -> Span | None:
        """The window that is open when all media up to ``reached_ms`` is known. Called for partial results; the window may still change."""


class Windower(Protocol):
    """Configuration of a way to cut media time into windows."""

    @property
    def longest_ms(self) -> int:
        """Length of the longest window that the logic ever returns. Called once, to number partial revisions."""

    def build(self, final_until_ms: int | None) -> WindowerLogic:
        """Called once for each track. Must return a logic that continues after ``final_until_ms``: windows that end by then are final."""


@dataclass(frozen=True, slots=True)
class HoppingWindower:
    """Windows of one length at a fixed distance; ``hop_ms == length_ms`` makes them tumbling windows."""

    length_ms: int
    hop_ms: int

    @property
    def longest_ms(self) -> int:
        """The length, which all windows share."""
        return self.length_ms

    def build(self, final_until_ms: int | None) -> HoppingLogic:
        """Continue with the first window that is not final."""
        return HoppingLogic(self, 0 if final_until_ms is None else self.first_start_ms(final_until_ms))

    def first_start_ms(self, media_ms: int) -> int:
        """Start of the first window that ends after a media time."""
        return max(0, (media_ms - self.length_ms) // self.hop_ms + 1) * self.hop_ms


class HoppingLogic:
    """Closes the hopping windows of one track; windows that no chunk touches are left out."""

    __slots__ = ("_windower", "closed_until_ms")

    def __init__(self, windower: HoppingWindower, closed_until_ms: int) -> None:
        self._windower = windower
        self.closed_until_ms = closed_until_ms

    def on_chunk(self, start_ms: int, end_ms: int, features: Features | None) -> bool:
        """Return False: the content of a chunk moves no hopping window."""
        return False

    def due_window(self, first_held_ms: int, watermark: float) -> Span | None:
        """The oldest window that holds a chunk, when the watermark has reached its end."""
        end_ms = self.notify_at_ms(first_held_ms)
        return Span(end_ms - self._windower.length_ms, end_ms) if end_ms <= watermark else None

    def close_window(self, first_held_ms: int, watermark: float) -> Span | None:
        """Close the next window when the watermark has reached its end."""
        span = self.due_window(first_held_ms, watermark)
        if span is not None:
            self.closed_until_ms = span.start_ms + self._windower.hop_ms
        return span

    def close_gap(self, watermark: float) -> None:
        """Close the windows that end by the watermark and hold nothing."""
        if watermark < math.inf:
            self.closed_until_ms = max(self.closed_until_ms, self._windower.first_start_ms(math.floor(watermark)))

    def notify_at_ms(self, first_held_ms: int) -> int:
        """End of the oldest window that holds a chunk."""
        return max(self.closed_until_ms, self._windower.first_start_ms(first_held_ms)) + self._windower.length_ms

    def next_end_ms(self, first_held_ms: int, watermark: float) -> float:
        """End of the first window that a held chunk, or a chunk that is still to come, may touch."""
        first_ms = min(first_held_ms, watermark)
        if first_ms >= sys.maxsize:
            return math.inf
        start_ms = self.closed_until_ms
        if first_ms >= 0:
            start_ms = max(start_ms, self._windower.first_start_ms(math.floor(first_ms)))
        return start_ms + self._windower.length_ms

    def open_window(self, reached_ms: int) -> Span | None:
        """The oldest open window, once media has reached its inside."""
        start_ms = max(self.closed_until_ms, self._windower.first_start_ms(reached_ms - 1))
        end_ms = start_ms + self._windower.length_ms
        return Span(start_ms, end_ms) if start_ms < reached_ms < end_ms else None
