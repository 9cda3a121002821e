"""The interfaces through which the pipeline reaches Kafka, Redis and the models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from stream.domain.chunk import Chunk
from stream.domain.consent import ConsentStatement
from stream.domain.context import ContextFeatures
from stream.domain.delivery import FinaliseOutcome, LastFinal, WindowAlerts
from stream.domain.epoch import EpochAssignment, SessionEpochs
from stream.domain.features import Features
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.kafka_records import Headers
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord, SessionRecord
from stream.domain.window import Window
from stream.pipeline.window_context import WindowContext

Ack = Callable[[], object]
"""Acknowledges the record of a chunk."""

Addressed = tuple[str, bytes, bytes, Headers]
"""Topic, key, value and headers of a Kafka record."""


class Send(Protocol):
    """Writes records to Kafka."""

    def __call__(self, *records: Addressed) -> Awaitable[None]:
        """Write records, and return when the broker has all of them. An outage is waited out."""


ModelVersionOf = Callable[[], Awaitable[str]]
"""The version of the model that scores an epoch: it is pinned when it is first asked for."""


class TrackEncoder(Protocol):
    """Encodes the chunks of one track. It may keep state, for example which face it follows: each modality comes in order."""

    def encode_immediately(self, chunk: Chunk) -> Features | None:
        """Features of a chunk that needs neither decoder nor model; None for any other chunk. Raises `BadRecordError`."""

    async def encode(self, chunk: Chunk) -> Features:
        """Features of a chunk. Outages of Triton are waited out. Raises `BadRecordError` or `MediaError` if the chunk cannot be used."""


class Scorer(Protocol):
    """Scores and explains windows."""

    async def default_version(self) -> str:
        """The version of the model that scores where none was ever promoted. Outages are waited out."""

    async def final(self, window: Window, context: WindowContext, version: str) -> tuple[ScoreRecord, ExplanationRecord]:
        """Score and explain a closed window with a version of the model.

        It must publish the window's contribution (`WindowContext.contribute`) before it waits for the window's context: windows of two
        tracks may wait for each other's contributions.
        """

    async def partial(self, window: Window, context: WindowContext, version: str) -> PartialRecord:
        """Score a window that is still open with a version of the model."""

    async def encode_words(self, window: Window, context: WindowContext) -> None:
        """Encode the words of a window that is still open; its track remembers them."""


class ResultStore(Protocol):
    """Redis. Every method except `put_partial` waits out an outage."""

    async def finalise(
        self,
        score: ScoreRecord,
        explanation: ExplanationRecord,
        token: int,
        contribution: ContextFeatures | None = None,
        alerts: WindowAlerts | None = None,
    ) -> FinaliseOutcome:
        """Make a window final, at most once, with its alerts, and keep its contribution to the context of later windows."""

    async def put_partial(self, partial: PartialRecord) -> None:
        """Write the partial result of an open window. It is tried once; errors are raised."""

    async def last_final(self, track: TrackKey) -> LastFinal | None:
        """The track's last final window; None if no window is final."""

    async def latest(self, track: TrackKey) -> ScoreRecord | None:
        """The record of the track's last final window; None if no window is final."""

    async def context(self, session: SessionKey, epoch: int) -> list[ContextFeatures]:
        """The contributions of the epoch's newest final windows, from all tracks."""

    async def finals(self, session: SessionKey) -> list[ScoreRecord]:
        """All final windows of a session."""

    async def epochs(self, session: SessionKey) -> SessionEpochs:
        """What is known about the session's epochs."""

    async def begin_epoch(
        self, session: SessionKey, declared: int, media_start_at_ms: int, within_ms: int, after: int
    ) -> tuple[EpochAssignment, ...]:
        """Give a media clock that began after epoch `after` an epoch number, unless it has one; return all assignments of the session."""

    async def put_consents(self, session: SessionKey, epoch: int, statements: Sequence[ConsentStatement]) -> Sequence[ConsentStatement]:
        """Keep what was said about consent in an epoch, unless it is kept already; return all that is kept of this epoch."""

    async def promoted_version(self) -> str | None:
        """The version of the model that new epochs get; None if none was ever promoted."""

    async def pin_version(self, session: SessionKey, epoch: int, version: str) -> str:
        """Pin an epoch to a version of the model, unless it is pinned; return the version that it keeps."""

    async def put_summary(self, record: SessionRecord) -> None:
        """Write the session's summary."""

    async def next_token(self) -> int:
        """A fencing token, higher than any before."""
