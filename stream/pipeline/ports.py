"""The interfaces through which the pipeline reaches Kafka, Redis and the models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from stream.domain.chunk import Chunk
from stream.domain.context import ContextFeatures
from stream.domain.delivery import FinaliseOutcome, LastFinal
from stream.domain.epoch import EpochAssignment, SessionEpochs
from stream.domain.features import Features
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord, SessionRecord
from stream.domain.window import Window
from stream.domain.wire import Headers
from stream.pipeline.window_context import WindowContext

Ack = Callable[[], object]
"""Acknowledges the record of a chunk."""

Addressed = tuple[str, bytes, bytes, Headers]
"""Topic, key, value and headers of a Kafka record."""


class Send(Protocol):
    """Writes to Kafka."""

    def __call__(self, *records: Addressed) -> Awaitable[None]:
        """Write records; return when the broker has them all, however long that takes."""


class TrackEncoder(Protocol):
    """Encodes the chunks of one track, each modality in order; it remembers which face it follows."""

    def encode_at_once(self, chunk: Chunk) -> Features | None:
        """Features of a chunk that needs neither decoder nor model, None for any other. Raises `BadRecordError`."""

    async def encode(self, chunk: Chunk) -> Features:
        """Raises `BadRecordError` or `MediaError` for a chunk that cannot be used; outages of Triton are waited out."""


class Scorer(Protocol):
    """Scores and explains windows."""

    async def final(self, window: Window, context: WindowContext) -> tuple[ScoreRecord, ExplanationRecord]:
        """Score and explain a closed window.

        Must contribute to the window's context before it waits for it: windows of two tracks may wait for each other's contributions.
        """

    async def partial(self, window: Window, context: WindowContext) -> PartialRecord:
        """Score a window that is still open."""


class ResultStore(Protocol):
    """Redis. Every method waits out an outage."""

    async def finalise(
        self, score: ScoreRecord, explanation: ExplanationRecord, token: int, contribution: ContextFeatures | None = None
    ) -> FinaliseOutcome:
        """Make a window final, at most once, and keep what it contributes to the context of later windows."""

    async def put_partial(self, partial: PartialRecord) -> None:
        """Show the partial result of an open window."""

    async def last_final(self, track: TrackKey) -> LastFinal | None:
        """The track's last final window."""

    async def latest(self, track: TrackKey) -> ScoreRecord | None:
        """The record of the track's last final window."""

    async def context(self, session: SessionKey, epoch: int) -> list[ContextFeatures]:
        """What the newest final windows of an epoch contribute to later ones, those of all tracks."""

    async def finals(self, session: SessionKey) -> list[ScoreRecord]:
        """All final windows of a session."""

    async def epochs(self, session: SessionKey) -> SessionEpochs:
        """The session's epochs."""

    async def begin_epoch(
        self, session: SessionKey, declared: int, media_start_at_ms: int, within_ms: int, after: int
    ) -> tuple[EpochAssignment, ...]:
        """Give a media clock that began after epoch `after` an epoch number, unless it has one; return all assignments of the session."""

    async def put_summary(self, record: SessionRecord) -> None:
        """Write the session's summary."""

    async def next_token(self) -> int:
        """A fencing token, higher than any before."""
