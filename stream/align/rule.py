"""What every rule of cutting media time into windows has in common."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from stream.domain.features import Features


class Span(NamedTuple):
    """Half-open span of media time, ms."""

    start_ms: int
    end_ms: int


class Cutter(Protocol):
    """Cuts the media time of one track, in order.

    What it decides follows from the chunks that it was given and from `closed_until_ms` alone, and only once the watermark has passed
    all that it follows from: neither the order in which chunks come nor a replay changes a window.
    """

    closed_until_ms: int
    """Media time before which no window starts any more; never goes back. A chunk that ends by then is in no further window."""

    def add(self, start_ms: int, end_ms: int, features: Features | None) -> bool:
        """Take note of a chunk that ends after `closed_until_ms`: its span and what it holds.

        Returns:
            True when that may make a window certain which was not, with the watermark where it is.
        """

    def cut(self, first_held_ms: int, watermark: float) -> Span | None:
        """Close the next window, or None when the watermark is not far enough.

        Args:
            first_held_ms: Where the first chunk that waits begins: there is one.
            watermark: Media time up to which all chunks have come; infinite when no more will.
        """

    def skip(self, watermark: float) -> None:
        """Once nothing can be cut: close the media that no window will cover, as far as the watermark tells."""

    def due_ms(self, first_held_ms: int) -> int:
        """Watermark with which, as things are, the next window closes or the chunks that wait turn out to be in none."""

    def next_end_ms(self, first_held_ms: int, watermark: float) -> float:
        """Media time before which no window that has not closed yet ends; infinite when none can come.

        Args:
            first_held_ms: Where the first chunk that waits begins; ``sys.maxsize`` when none does.
            watermark: Media time up to which all chunks have come; infinite when no more will.
        """

    def open_span(self, reached_ms: int) -> Span | None:
        """The window that is open at a media time up to which all is known, for a look at it; it may yet be cut otherwise."""


class WindowRule(Protocol):
    """How media time is cut into windows."""

    @property
    def longest_ms(self) -> int:
        """No window is longer."""

    def cutter(self, final_until_ms: int | None) -> Cutter:
        """For one track; windows that end by ``final_until_ms`` are final already."""
