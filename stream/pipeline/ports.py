"""What the pipeline needs of the world around it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from stream.domain.chunk import Chunk
from stream.domain.delivery import LastFinal, Verdict
from stream.domain.epoch import Run, SessionEpochs
from stream.domain.features import Features
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.past import PastFeatures
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord, SessionRecord
from stream.domain.window import Window
from stream.domain.wire import Headers
from stream.pipeline.memory import Recall

Addressed = tuple[str, bytes, bytes, Headers]
"""Topic, key, value and headers of a Kafka record."""


class Send(Protocol):
    """Kafka."""

    def __call__(self, *records: Addressed) -> Awaitable[None]:
        """Write records; returns when the broker has them all, however long that takes."""


class TrackEncoder(Protocol):
    """Encodes the chunks of one track, in order per modality; it may remember the face it follows."""

    def encode_at_once(self, chunk: Chunk) -> Features | None:
        """Features of a chunk that needs neither decoder nor model, None for any other. Raises `BadRecordError`."""

    async def encode(self, chunk: Chunk) -> Features:
        """Raises `BadRecordError` or `MediaError` for a chunk that cannot be used; outages of Triton are waited out."""


class Scorer(Protocol):
    """The model and the explanation."""

    async def final(self, window: Window, recall: Recall) -> tuple[ScoreRecord, ExplanationRecord]:
        """Score and explain a closed window; tells its `Recall` what it leaves before asking for what it hears."""

    async def partial(self, window: Window, recall: Recall) -> PartialRecord:
        """Score a window that is still open."""


class ResultStore(Protocol):
    """Redis. Every method waits an outage out."""

    async def finalise(self, score: ScoreRecord, explanation: ExplanationRecord, token: int, left: PastFeatures | None = None) -> Verdict:
        """Make a window final, at most once, and keep what it leaves for later ones."""

    async def put_partial(self, partial: PartialRecord) -> None:
        """Show an unfinished window."""

    async def last_final(self, track: TrackKey) -> LastFinal | None:
        """The track's last final window."""

    async def latest(self, track: TrackKey) -> ScoreRecord | None:
        """The track's last final window as it is shown."""

    async def past(self, session: SessionKey, epoch: int) -> list[PastFeatures]:
        """What the newest final windows of an epoch left, those of all tracks."""

    async def finals(self, session: SessionKey) -> list[ScoreRecord]:
        """All final windows of a session."""

    async def epochs(self, session: SessionKey) -> SessionEpochs:
        """The session's epochs."""

    async def begin_epoch(self, session: SessionKey, declared: int, zero_ms: int, within_ms: int, after: int) -> tuple[Run, ...]:
        """Number a media clock that began after epoch `after`, unless it has a number; returns all of the session's."""

    async def put_summary(self, record: SessionRecord) -> None:
        """Write the session's summary."""

    async def next_token(self) -> int:
        """A fencing token, higher than any before."""
