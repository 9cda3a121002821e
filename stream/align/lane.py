"""Progress of one modality of one track."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic

from stream.align.outcome import EncodedChunk, R

RECENT = 8
"""Released chunks whose fingerprints are kept, so that a second chunk with their number is known for what it is."""

MAX_RUNS = 256
"""Gaps in the numbering that are remembered; numbers below the oldest are forgotten."""


class Novelty(Enum):
    """What a lane makes of a chunk's number."""

    NEW = auto()
    REPEATED = auto()
    """The chunk has been here before."""
    CONFLICT = auto()
    """Another chunk with its number has been here before."""


@dataclass(slots=True)
class Lane(Generic[R]):
    """How far a modality has come, which chunks it has brought and which of them wait for a window to close.

    Attributes:
        since: When it began to be waited for (ms).
        reached_ms: Media time up to which chunks have come; 0 before the first.
        heard_at: When the newest chunk came (ms).
        held: Chunks that wait, by number, in order of media time.
    """

    since: int
    reached_ms: int = 0
    heard_at: int | None = None
    held: dict[int, EncodedChunk[R]] = field(default_factory=dict)
    _runs: list[list[int]] = field(default_factory=list)
    _lowest_start_ms: int = 0
    _recent: dict[int, int] = field(default_factory=dict)

    def note(self, chunk: EncodedChunk[R], now: int) -> Novelty:
        """Take in a chunk's number and end. Only a new chunk changes anything."""
        header = chunk.header
        held = self.held.get(header.seq)
        if held is not None or not self._number(header.seq):
            known = self._recent.get(header.seq) if held is None else held.fingerprint
            return Novelty.REPEATED if known is None or known == chunk.fingerprint else Novelty.CONFLICT
        if header.seq == self._runs[0][0]:
            self._lowest_start_ms = header.start_ms
        self.heard_at = now
        end_ms = header.end_ms
        self.reached_ms = max(self.reached_ms, end_ms)
        return Novelty.NEW

    def hold(self, chunk: EncodedChunk[R]) -> None:
        """Let a chunk wait."""
        in_order = not self.held or _by_time(self.held[next(reversed(self.held))]) <= _by_time(chunk)
        self.held[chunk.header.seq] = chunk
        if not in_order:
            self.held = {c.header.seq: c for c in sorted(self.held.values(), key=_by_time)}

    def before(self, end_ms: int) -> list[EncodedChunk[R]]:
        """Chunks that wait and begin before a media time."""
        found = []
        for chunk in self.held.values():
            if chunk.header.start_ms >= end_ms:
                break
            found.append(chunk)
        return found

    @property
    def first_held_ms(self) -> int:
        """Where the first chunk that waits begins."""
        return next(iter(self.held.values())).header.start_ms

    def release(self, chunk: EncodedChunk[R]) -> None:
        """A chunk no longer waits, or never did; its fingerprint stays for a while."""
        self.held.pop(chunk.header.seq, None)
        self._recent[chunk.header.seq] = chunk.fingerprint
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]

    def _number(self, seq: int) -> bool:
        """Add a number to the runs ``[first, after)`` of those that came; False when it is in one."""
        runs = self._runs
        if runs and runs[-1][1] == seq:
            runs[-1][1] += 1
            return True
        place = bisect_right(runs, seq, key=_first)
        before = runs[place - 1] if place else None
        if before is not None and seq < before[1]:
            return False
        joins_next = place < len(runs) and runs[place][0] == seq + 1
        if before is not None and before[1] == seq:
            before[1] = runs.pop(place)[1] if joins_next else seq + 1
        elif joins_next:
            runs[place][0] = seq
        else:
            runs.insert(place, [seq, seq + 1])
            if len(runs) > MAX_RUNS:
                del runs[0]
        return True

    def complete(self, count: int, done_ms: int) -> bool:
        """True when chunks up to number ``count - 1`` are here.

        Args:
            count: How many chunks the modality had.
            done_ms: What ends by then was final before this lane began: a replay starts in the middle.
        """
        if count == 0:
            return True
        if not self._runs or self._runs[0][1] < count:
            return False
        return self._runs[0][0] == 0 or self._lowest_start_ms <= done_ms

    @property
    def last_sign(self) -> int:
        """Since when nothing has come (ms)."""
        return self.since if self.heard_at is None else self.heard_at


def _first(run: list[int]) -> int:
    return run[0]


def _by_time(chunk: EncodedChunk[R]) -> tuple[int, int]:
    return chunk.header.start_ms, chunk.header.seq
