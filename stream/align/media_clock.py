"""The media clock of one epoch: how media time relates to the wall clock, by the capture times of its chunks."""

from __future__ import annotations


class MediaClock:
    """Tells chunks that run ahead of their capture time, and a media clock that has started again.

    Args:
        max_ahead_ms: How far a chunk's media time may run ahead of the capture clock.
        max_back_ms: How far media time may go back while the capture clock advances.
    """

    __slots__ = ("_first_media_start_at_ms", "_max_ahead_ms", "_max_back_ms", "_newest_media_start_at_ms", "_newest_ms")

    def __init__(self, max_ahead_ms: int, max_back_ms: int) -> None:
        self._max_ahead_ms = max_ahead_ms
        self._max_back_ms = max_back_ms
        self._first_media_start_at_ms: int | None = None
        self._newest_ms = 0
        self._newest_media_start_at_ms = 0

    @property
    def newest_media_start_at_ms(self) -> int | None:
        """Wall clock at which media began, according to the newest chunk; None before the first."""
        return self._newest_media_start_at_ms if self._newest_ms else None

    def is_future(self, media_start_at_ms: int) -> bool:
        """Whether a chunk runs ahead of its capture time.

        The first chunk says at which wall clock media time began; no other chunk may put that much earlier.
        """
        if self._first_media_start_at_ms is None:
            self._first_media_start_at_ms = media_start_at_ms
        return self._first_media_start_at_ms - media_start_at_ms > self._max_ahead_ms

    def is_restarted(self, end_ms: int, media_start_at_ms: int) -> bool:
        """Whether a chunk was captured after the newest one although it lies far before it in media time.

        A late chunk was captured earlier, and the clock of a call on hold runs on: neither counts as a restart.
        """
        back_ms = self._newest_ms - end_ms
        return back_ms > self._max_back_ms and media_start_at_ms - self._newest_media_start_at_ms > back_ms

    def advance(self, end_ms: int, media_start_at_ms: int) -> None:
        """Media has reached ``end_ms``; the chunk that says so puts the start of media at ``media_start_at_ms`` on the wall clock."""
        if end_ms > self._newest_ms:
            self._newest_ms, self._newest_media_start_at_ms = end_ms, media_start_at_ms
