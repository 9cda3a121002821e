"""The state of one modality of one track: its progress, the chunk numbers it has seen and the chunks it holds."""

from __future__ import annotations

from array import array
from bisect import bisect_right, insort
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic

import msgspec

from stream.align.outcome import A, EncodedChunk
from stream.domain.chunk import ChunkHeader
from stream.domain.features import Features

RECENT = 8
"""Fingerprints kept of chunks that are no longer held, so that a second chunk with the same number is recognised as a conflict."""

MAX_RANGES = 256
"""Ranges of chunk numbers that are kept; numbers below the oldest range are forgotten."""


class Novelty(Enum):
    """How a chunk's number compares with the numbers seen so far."""

    NEW = auto()
    REPEATED = auto()
    """The same chunk arrived before."""
    CONFLICT = auto()
    """Another chunk with this number arrived before."""


class HeldChunk(msgspec.Struct, Generic[A], frozen=True):
    """A chunk that is held until its last window closes: only the fields that windows need.

    Attributes:
        start_ms: Where the chunk itself starts: held chunks are in this order.
        seq: Its number.
        content_start_ms: Where its content starts: before the chunk, where it has words of an earlier time.
        end_ms: Where its content ends: after the chunk, where it has words of a later time.
        captured_ms: Wall clock at which `end_ms` was captured.
        left_out: It was not decoded, because the worker had fallen behind.
    """

    start_ms: int
    seq: int
    content_start_ms: int
    end_ms: int
    captured_ms: int
    features: Features | None
    fingerprint: int
    ack: A | None
    left_out: bool


@dataclass(slots=True)
class ModalityState(Generic[A]):
    """Progress of a modality, and its chunks that are held until a window closes.

    Attributes:
        last_seen: When the newest chunk arrived, or when the modality began to be expected (ms on the caller's clock).
        reached_ms: Media time up to which chunks have arrived; 0 before the first.
        promised_ms: What the watermark counts on: `reached_ms`, or later while a chunk is being encoded, see `promise`.
        started: Whether a chunk has arrived.
        held: Held chunks, in order of media time and number.
    """

    last_seen: int
    reached_ms: int = 0
    promised_ms: int = 0
    started: bool = False
    held: list[HeldChunk[A]] = field(default_factory=list)
    _ranges: list[int] = field(default_factory=list)
    """Numbers that arrived, as ranges ``[first, after)``: first, after, first, after… in rising order."""
    _count: int = 0
    """How many different numbers have arrived."""
    _lowest_start_ms: int = 0
    _recent: array[int] = field(default_factory=lambda: array("q", [-1, 0] * RECENT))
    """Number and fingerprint of chunks that are no longer held. The pair of a number lies at that number modulo `RECENT`."""

    def register(self, chunk: EncodedChunk[A], now: int) -> Novelty:
        """Record a chunk's number and end. Only a new chunk changes the state."""
        header = chunk.header
        ranges = self._ranges
        if ranges and header.seq < ranges[-1]:
            known = self._find_fingerprint(header.seq)
            if known is not None or not self._add_number(header.seq):
                return Novelty.REPEATED if known is None or known == chunk.fingerprint else Novelty.CONFLICT
        else:
            self._add_number(header.seq)
        self._count += 1
        if header.seq == ranges[0]:
            self._lowest_start_ms = header.start_ms
        self.last_seen, self.started = now, True
        if (end_ms := header.end_ms) > self.reached_ms:
            self.reached_ms = end_ms
        self.promised_ms = self.reached_ms
        return Novelty.NEW

    def promise(self, header: ChunkHeader, allowed_lateness_ms: int) -> bool:
        """Let windows that end before a chunk starts close although its content is not known yet.

        Returns:
            False for a chunk out of order, which promises nothing.
        """
        if header.start_ms < self.reached_ms or (self._ranges and header.seq < self._ranges[-1]):
            return False
        # The watermark lags by the lateness: so it reaches the start of the chunk at most, and never goes further than with its content.
        self.promised_ms = max(self.promised_ms, min(header.end_ms, header.start_ms + allowed_lateness_ms))
        return True

    def hold(self, chunk: EncodedChunk[A], start_ms: int, end_ms: int) -> None:
        """Hold a chunk until its last window closes.

        Args:
            chunk: The chunk.
            start_ms: Media time at which its content starts.
            end_ms: Media time at which its content ends.
        """
        header = chunk.header
        captured_ms = header.captured_ms + end_ms - header.end_ms
        held = HeldChunk(
            header.start_ms, header.seq, start_ms, end_ms, captured_ms, chunk.features, chunk.fingerprint, chunk.ack, chunk.left_out
        )
        if not self.held or self.held[-1].start_ms < held.start_ms:
            self.held.append(held)
        else:
            insort(self.held, held, key=_media_order)

    def release(self, done_ms: int) -> list[HeldChunk[A]]:
        """Stop holding the chunks that end by a media time, because their last window has closed; return them."""
        if not self.held or self.held[0].start_ms >= done_ms:
            return []
        done = [held for held in self.held if held.end_ms <= done_ms]
        self.held = [held for held in self.held if held.end_ms > done_ms]
        for held in done:
            self.keep_fingerprint(held.seq, held.fingerprint)
        return done

    def keep_fingerprint(self, seq: int, fingerprint: int) -> None:
        """Keep the fingerprint of a chunk that is not held, until `RECENT` later numbers have replaced it."""
        index = seq % RECENT * 2
        self._recent[index] = seq
        self._recent[index + 1] = fingerprint

    def _find_fingerprint(self, seq: int) -> int | None:
        """Fingerprint of the chunk that arrived with a number, None where it is no longer known."""
        index = seq % RECENT * 2
        if self._recent[index] == seq:
            return self._recent[index + 1]
        return next((held.fingerprint for held in self.held if held.seq == seq), None)

    def _add_number(self, seq: int) -> bool:
        """Add a number to the ranges; False when it is in them already."""
        ranges = self._ranges
        if ranges and ranges[-1] == seq:
            ranges[-1] = seq + 1
            return True
        index = bisect_right(ranges, seq)
        if index % 2:
            return False
        follows = index > 0 and ranges[index - 1] == seq
        precedes = index < len(ranges) and ranges[index] == seq + 1
        if follows and precedes:
            del ranges[index - 1 : index + 1]
        elif follows:
            ranges[index - 1] = seq + 1
        elif precedes:
            ranges[index] = seq
        else:
            ranges[index:index] = (seq, seq + 1)
            if len(ranges) > 2 * MAX_RANGES:
                del ranges[:2]
        return True

    def is_complete(self, count: int, done_ms: int, media_ms: int = 0) -> bool:
        """True when as many chunks as the modality had have arrived, whatever their numbers are.

        A replay starts in the middle, and cannot count the chunks before. Then it is complete when there is no gap from the chunks that
        were final before to the number ``count - 1``. Numbers need not begin at 0, so media must also have reached the end; if a modality
        ends before the session does, this is never true, and the grace period decides.

        Args:
            count: How many chunks the modality had.
            done_ms: Chunks that end by then were final before this state began; 0 if nothing was.
            media_ms: Where the session ended.
        """
        if self._count >= count:
            return True
        if not done_ms or not self._ranges or self._lowest_start_ms > done_ms:
            return False
        return self._ranges[1] >= count and self.reached_ms >= media_ms


def _media_order(held: HeldChunk[A]) -> tuple[int, int]:
    return held.start_ms, held.seq
