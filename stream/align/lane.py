"""Progress of one modality of one track."""

from __future__ import annotations

from array import array
from bisect import bisect_right, insort
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Generic

import msgspec

from stream.align.outcome import EncodedChunk, R
from stream.domain.features import Features

RECENT = 8
"""Chunks that no longer wait whose fingerprints are kept, so that a second chunk with their number is known for what it is."""

MAX_RUNS = 256
"""Runs of numbers that are remembered; numbers below the oldest are forgotten."""


class Novelty(Enum):
    """What a lane makes of a chunk's number."""

    NEW = auto()
    REPEATED = auto()
    """The chunk has been here before."""
    CONFLICT = auto()
    """Another chunk with its number has been here before."""


class Held(msgspec.Struct, Generic[R], frozen=True):
    """A chunk that waits: only what its windows need of it."""

    start_ms: int
    seq: int
    end_ms: int
    captured_ms: int
    features: Features | None
    fingerprint: int
    receipt: R | None


@dataclass(frozen=True, slots=True)
class LaneSnapshot:
    """A lane at one moment; the chunks that wait are without their receipts."""

    last_sign: int
    reached_ms: int
    heard: bool
    held: tuple[Held[Any], ...]
    runs: tuple[int, ...]
    lowest_start_ms: int
    recent: tuple[int, ...]


@dataclass(slots=True)
class Lane(Generic[R]):
    """How far a modality has come, which chunks it has brought and which of them wait for a window to close.

    Attributes:
        last_sign: When the newest chunk came, or it began to be waited for (ms).
        reached_ms: Media time up to which chunks have come; 0 before the first.
        heard: Whether a chunk has come.
        held: Chunks that wait, in order of media time and number.
    """

    last_sign: int
    reached_ms: int = 0
    heard: bool = False
    held: list[Held[R]] = field(default_factory=list)
    _runs: list[int] = field(default_factory=list)
    """Numbers that came, as runs ``[first, after)``: first, after, first, after… in rising order."""
    _lowest_start_ms: int = 0
    _recent: array[int] = field(default_factory=lambda: array("q", [-1, 0] * RECENT))
    """Number and fingerprint of chunks that no longer wait, each pair in the place that its number has modulo `RECENT`."""

    def snapshot(self) -> LaneSnapshot:
        """The lane as it is now."""
        held = tuple([msgspec.structs.replace(held, receipt=None) for held in self.held])
        return LaneSnapshot(
            self.last_sign, self.reached_ms, self.heard, held, tuple(self._runs), self._lowest_start_ms, tuple(self._recent)
        )

    @classmethod
    def restored(cls, seen: LaneSnapshot) -> Lane[R]:
        """A lane that goes on from a snapshot."""
        runs, recent = list(seen.runs), array("q", seen.recent)
        return cls(seen.last_sign, seen.reached_ms, seen.heard, list(seen.held), runs, seen.lowest_start_ms, recent)

    def note(self, chunk: EncodedChunk[R], now: int) -> Novelty:
        """Take in a chunk's number and end. Only a new chunk changes anything."""
        header = chunk.header
        runs = self._runs
        if runs and header.seq < runs[-1]:
            known = self._fingerprint(header.seq)
            if known is not None or not self._number(header.seq):
                return Novelty.REPEATED if known is None or known == chunk.fingerprint else Novelty.CONFLICT
        else:
            self._number(header.seq)
        if header.seq == runs[0]:
            self._lowest_start_ms = header.start_ms
        self.last_sign, self.heard = now, True
        if (end_ms := header.end_ms) > self.reached_ms:
            self.reached_ms = end_ms
        return Novelty.NEW

    def hold(self, chunk: EncodedChunk[R]) -> None:
        """Let a chunk wait."""
        header = chunk.header
        held = Held(header.start_ms, header.seq, header.end_ms, header.captured_ms, chunk.features, chunk.fingerprint, chunk.receipt)
        if not self.held or self.held[-1].start_ms < held.start_ms:
            self.held.append(held)
        else:
            insort(self.held, held, key=_place)

    def release(self, done_ms: int) -> list[Held[R]]:
        """Let go of the chunks that end by a media time: their last window has closed."""
        if not self.held or self.held[0].start_ms >= done_ms:
            return []
        done = [held for held in self.held if held.end_ms <= done_ms]
        self.held = [held for held in self.held if held.end_ms > done_ms]
        for held in done:
            self.remember(held.seq, held.fingerprint)
        return done

    def remember(self, seq: int, fingerprint: int) -> None:
        """Keep the fingerprint of a chunk that does not wait, for a while."""
        place = seq % RECENT * 2
        self._recent[place] = seq
        self._recent[place + 1] = fingerprint

    def _fingerprint(self, seq: int) -> int | None:
        """Of the chunk that came with a number, while it is known."""
        place = seq % RECENT * 2
        if self._recent[place] == seq:
            return self._recent[place + 1]
        return next((held.fingerprint for held in self.held if held.seq == seq), None)

    def _number(self, seq: int) -> bool:
        """Add a number to those that came; False when it is among them."""
        runs = self._runs
        if runs and runs[-1] == seq:
            runs[-1] = seq + 1
            return True
        place = bisect_right(runs, seq)
        if place % 2:
            return False
        follows = place > 0 and runs[place - 1] == seq
        precedes = place < len(runs) and runs[place] == seq + 1
        if follows and precedes:
            del runs[place - 1 : place + 1]
        elif follows:
            runs[place - 1] = seq + 1
        elif precedes:
            runs[place] = seq
        else:
            runs[place:place] = (seq, seq + 1)
            if len(runs) > 2 * MAX_RUNS:
                del runs[:2]
        return True

    def complete(self, count: int, done_ms: int) -> bool:
        """True when chunks up to number ``count - 1`` are here.

        Args:
            count: How many chunks the modality had.
            done_ms: What ends by then was final before this lane began: a replay starts in the middle.
        """
        if count == 0:
            return True
        if not self._runs or self._runs[1] < count:
            return False
        return self._runs[0] == 0 or self._lowest_start_ms <= done_ms


def _place(held: Held[R]) -> tuple[int, int]:
    return held.start_ms, held.seq
