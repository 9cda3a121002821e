"""Progress of one modality of one track."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Lane:
    """How far a modality has come and which chunks it has brought.

    Attributes:
        since: When it began to be waited for (monotonic ms).
        reached_ms: Media time up to which chunks have come; 0 before the first.
        heard_at: When the newest chunk came (monotonic ms).
    """

    since: int
    reached_ms: int = 0
    heard_at: int | None = None
    _low: int | None = None
    _next: int = 0
    _ahead: set[int] = field(default_factory=set)

    def note(self, seq: int, end_ms: int, now: int) -> bool:
        """Take in a chunk's number and end; False when its number has been here before."""
        self.heard_at = now
        if self._low is None:
            self._low = self._next = seq
        if seq in self._ahead or self._low <= seq < self._next:
            return False
        if seq < self._low:
            self._fill_below(seq)
        else:
            self._ahead.add(seq)
        while self._next in self._ahead:
            self._ahead.remove(self._next)
            self._next += 1
        self.reached_ms = max(self.reached_ms, end_ms)
        return True

    def _fill_below(self, seq: int) -> None:
        assert self._low is not None  # noqa: S101 - only called once a first number is known
        if seq == self._low - 1:
            self._low = seq
            while self._low - 1 in self._ahead:
                self._low -= 1
                self._ahead.remove(self._low)
        else:
            self._ahead.add(seq)

    def complete(self, count: int) -> bool:
        """True when chunks up to number ``count - 1`` are here, from the first that came (a replay starts in the middle)."""
        return count == 0 or (self._low is not None and not self._ahead and self._next >= count)

    def quiet_ms(self, now: int) -> int:
        """For how long nothing has come."""
        return now - (self.since if self.heard_at is None else self.heard_at)
