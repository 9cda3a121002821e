"""What the aligner hands out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from stream.domain.chunk import ChunkHeader
from stream.domain.features import Features
from stream.domain.identity import TrackKey
from stream.domain.window import Window

R = TypeVar("R")
"""A receipt: what the caller uses to acknowledge a chunk. The aligner only carries it."""


class EncodedChunk(msgspec.Struct, Generic[R], frozen=True):
    """A chunk with its features; ``features`` is None for one that could not be used but still marks progress.

    Attributes:
        digest: Of its payload: tells a chunk that came again from another one with the same number.
    """

    header: ChunkHeader
    features: Features | None
    receipt: R | None
    digest: bytes = b""

    @property
    def fingerprint(self) -> int:
        """Equal for a chunk that comes again, in any process."""
        return hash((int.from_bytes(self.digest), self.header.start_ms, self.header.duration_ms))


class ClosedWindow(msgspec.Struct, Generic[R], frozen=True):
    """A final window, the receipts of the chunks for which it was the last one, and how many those are with or without receipt."""

    window: Window
    receipts: tuple[R, ...]
    released: int


class UnusedChunks(msgspec.Struct, Generic[R], frozen=True):
    """Receipts and number of chunks that end in media which no window covers; some may have been in the track's last window."""

    track: TrackKey
    receipts: tuple[R, ...]
    released: int


class LateChunk(msgspec.Struct, Generic[R], frozen=True):
    """A chunk that came when all its windows had closed.

    Attributes:
        late_by_ms: Media time between its end and the point up to which windows are closed.
    """

    chunk: EncodedChunk[R]
    late_by_ms: int


class Outcome(msgspec.Struct, Generic[R]):
    """Everything that one call brought about.

    Attributes:
        closed: Final windows; those of one track in order of time.
        unused: Chunks that are in no further window; they may go once the windows closed before are published.
        partial: Looks at windows that are still open.
        late: Chunks that came too late.
        repeated: Chunks that were here before, or whose windows were final before this aligner began.
        conflicts: Chunks whose number belongs to another chunk that was here before.
        future: Chunks whose media time runs too far ahead of the clock they were captured by.
    """

    closed: tuple[ClosedWindow[R], ...] = ()
    unused: tuple[UnusedChunks[R], ...] = ()
    partial: tuple[Window, ...] = ()
    late: tuple[LateChunk[R], ...] = ()
    repeated: tuple[EncodedChunk[R], ...] = ()
    conflicts: tuple[EncodedChunk[R], ...] = ()
    future: tuple[EncodedChunk[R], ...] = ()

    def extend(self, others: Iterable[Outcome[R]]) -> Outcome[R]:
        """Add what other calls brought about; returns itself."""
        for other in others:
            self.closed += other.closed
            self.unused += other.unused
            self.partial += other.partial
            self.late += other.late
            self.repeated += other.repeated
            self.conflicts += other.conflicts
            self.future += other.future
        return self
