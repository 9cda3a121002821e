"""The input and the output of the aligner."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from stream.domain.chunk import ChunkHeader
from stream.domain.features import Features
from stream.domain.identity import TrackKey
from stream.domain.window import Window

A = TypeVar("A")
"""An ack: the value with which the caller acknowledges a chunk. The aligner only carries it."""


class EncodedChunk(msgspec.Struct, Generic[A], frozen=True):
    """A chunk with its features.

    Attributes:
        header: The chunk's header.
        features: None for a chunk that could not be decoded: it still counts as progress of its modality.
        ack: None where nothing has to be acknowledged any more.
        left_out: It was not decoded, because the worker had fallen behind.
        digest: Digest of the payload. It tells a chunk that arrives again from another chunk with the same number.
    """

    header: ChunkHeader
    features: Features | None
    ack: A | None
    digest: bytes = b""
    left_out: bool = False

    @property
    def fingerprint(self) -> int:
        """Equal for a chunk that arrives again, in any process."""
        return hash((int.from_bytes(self.digest), self.header.start_ms, self.header.duration_ms))


class ClosedWindow(msgspec.Struct, Generic[A], frozen=True):
    """A final window and the chunks for which it was the last window.

    Attributes:
        window: The window.
        acks: Acks of those chunks.
        released: Number of those chunks, with or without an ack.
    """

    window: Window
    acks: tuple[A, ...]
    released: int


class UnusedChunks(msgspec.Struct, Generic[A], frozen=True):
    """Chunks that are in no further window. Some of them may have been in the track's last window.

    Attributes:
        track: Whose chunks they are.
        acks: Their acks.
        released: Their number, with or without an ack.
    """

    track: TrackKey
    acks: tuple[A, ...]
    released: int


class LateChunk(msgspec.Struct, Generic[A], frozen=True):
    """A chunk that arrived after all its windows had closed.

    Attributes:
        chunk: The chunk.
        late_by_ms: Media time from its end to the point up to which windows are closed.
    """

    chunk: EncodedChunk[A]
    late_by_ms: int


class LateWords(msgspec.Struct, Generic[A], frozen=True):
    """Words of a chunk that ended where all windows had closed. The rest of the chunk is held.

    Attributes:
        chunk: The chunk.
        words: How many words.
        late_by_ms: Media time from the end of the earliest to the point up to which windows are closed.
    """

    chunk: EncodedChunk[A]
    words: int
    late_by_ms: int


class Outcome(msgspec.Struct, Generic[A]):
    """Everything that one call to the aligner produced.

    Attributes:
        closed: Final windows; the windows of each track are in order of time.
        unused: Chunks that are in no further window. They may be acknowledged once the windows closed before them are published.
        partial: Windows that are still open, for partial results.
        spoken: Windows that are still open, but whose words have all arrived, unless some come late.
        late: Chunks that arrived too late.
        late_words: Words that arrived too late, in chunks that did not.
        repeated: Chunks that were here before, or whose windows were final before this aligner began.
        conflicts: Chunks whose number belongs to another chunk that arrived before.
        future: Chunks whose media time runs too far ahead of their capture time.
    """

    closed: tuple[ClosedWindow[A], ...] = ()
    unused: tuple[UnusedChunks[A], ...] = ()
    partial: tuple[Window, ...] = ()
    spoken: tuple[Window, ...] = ()
    late: tuple[LateChunk[A], ...] = ()
    late_words: tuple[LateWords[A], ...] = ()
    repeated: tuple[EncodedChunk[A], ...] = ()
    conflicts: tuple[EncodedChunk[A], ...] = ()
    future: tuple[EncodedChunk[A], ...] = ()

    def extend(self, others: Iterable[Outcome[A]]) -> Outcome[A]:
        """Add the outcomes of other calls; return itself."""
        for other in others:
            self.closed += other.closed
            self.unused += other.unused
            self.partial += other.partial
            self.spoken += other.spoken
            self.late += other.late
            self.late_words += other.late_words
            self.repeated += other.repeated
            self.conflicts += other.conflicts
            self.future += other.future
        return self
