"""The summaries of `produce` and `demo`: what was sent, and for a demo windows, modalities, latency or speed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

import msgspec

from stream.domain.identity import SessionKey
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import PartialRecord, Record, ScoreRecord, SessionRecord
from stream.domain.wording import quantity
from stream.produce.sent import SentRecording

if TYPE_CHECKING:
    from stream.produce.producer import ProducedSession

PERCENTILES = (50, 95, 99)


class SendSummary(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="summary"):
    """The summary of `produce`.

    Attributes:
        tenant, session: Name of the session.
        media_ms: Media time of its end.
        chunks: Number of chunks sent, by modality.
        seconds: Wall time that sending took.
        complete: All that the recording announces was sent.
        recordings: The recording, compared with what it announces; a list, as for `demo`.
    """

    tenant: str
    session: str
    media_ms: int
    chunks: dict[Modality, int]
    seconds: float
    complete: bool
    recordings: tuple[SentRecording, ...]

    @classmethod
    def of(cls, produced: ProducedSession) -> SendSummary:
        """Summarise a session that was sent."""
        return cls(
            tenant=produced.plan.key.tenant,
            session=produced.plan.key.session,
            media_ms=produced.media_ms,
            chunks=produced.chunks,
            seconds=round(produced.seconds, 3),
            complete=produced.recording.complete,
            recordings=(produced.recording,),
        )


class RunSummary(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="summary"):
    """The last line of a run.

    Attributes:
        windows: Number of final windows.
        sessions: Number of sessions that ended with a summary.
        modalities: How many final windows held each modality.
        latency_ms: Percentiles of the time from a window's end (or the session's end, if that is earlier) until its result is in Redis,
            less the allowed lateness; None unless the speed is 1.0, because only then do chunks come when they are captured.
        real_time_factor: Media seconds of all sessions for each second of wall clock; None at speed 1.0.
        dead_letters: Number of records that went to the dead-letter topic during the run.
        late: Number of chunks that came after their windows had closed.
        complete: All that the recordings announce was sent.
        recordings: What was sent of each recording, compared with what it announces, in the order of the sessions.
    """

    windows: int
    sessions: int
    modalities: dict[Modality, int]
    latency_ms: dict[str, float] | None
    real_time_factor: float | None
    dead_letters: int
    late: int
    complete: bool
    recordings: tuple[SentRecording, ...]


@dataclass(frozen=True, slots=True)
class Arrival:
    """The arrival of a final window at the reader.

    Attributes:
        session: The window's session.
        end_ms: Media time of its end.
        lateness_ms: The allowed lateness: how long windows wait for late chunks.
        delay_ms: Time from the capture of its last media to its arrival.
    """

    session: SessionKey
    end_ms: int
    lateness_ms: int
    delay_ms: int

    def latency_ms(self, media_end_ms: int | None) -> int:
        """Return the delay that the service caused: the allowed lateness is subtracted if the window has waited for it.

        Args:
            media_end_ms: Media time at the session's end; the windows that this end closed have not waited. None if it is unknown.
        """
        waited = media_end_ms is None or self.end_ms + self.lateness_ms <= media_end_ms
        return max(0, self.delay_ms - self.lateness_ms) if waited else max(0, self.delay_ms)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of at least one value: the smallest value that `percent` % of them do not exceed."""
    ranked = sorted(values)
    return ranked[max(1, ceil(len(ranked) * percent / 100)) - 1]


def summary_lines(summary: RunSummary) -> Iterator[str]:
    """Yield the lines of the summary for people."""
    by_modality = ", ".join(f"{modality} in {number}" for modality, number in summary.modalities.items())
    yield f"{quantity(summary.sessions, 'session')}, {quantity(summary.windows, 'final window')} ({by_modality})"
    if summary.latency_ms is not None:
        percentiles = ", ".join(f"{name} {value:.0f} ms" for name, value in summary.latency_ms.items())
        yield f"from a window's end to its result in Redis: {percentiles}"
    if summary.real_time_factor is not None:
        yield f"{summary.real_time_factor:g} seconds of media for each second of wall clock"
    yield f"{quantity(summary.dead_letters, 'dead letter')}, {quantity(summary.late, 'late chunk')}"


def by_recording(sentences: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """Yield each sentence once, after the names of the files that it is about; without names where it is about all of them.

    Args:
        sentences: Name of the file, and the sentences about it, for each session; a file that is played twice is there twice.
    """
    files = {file for file, _ in sentences}
    about: dict[str, dict[str, None]] = {}
    for file, own in sentences:
        for sentence in own:
            about.setdefault(sentence, {})[file] = None
    for sentence, names in about.items():
        yield sentence if len(names) == len(files) else f"{', '.join(names)}: {sentence}"


@dataclass
class RunReport:
    """Collects the records of a run.

    Args:
        sessions: The sessions of the run; records of others are not counted.
        live: Whether the speed is 1.0.
    """

    sessions: frozenset[SessionKey]
    live: bool
    ended: set[SessionKey] = field(default_factory=set)
    windows: int = 0
    _modalities: dict[Modality, int] = field(default_factory=lambda: dict.fromkeys(MODALITIES, 0))
    _arrivals: list[Arrival] = field(default_factory=list)

    def add(self, record: Record, arrived_at_ms: int) -> None:
        """Count a record.

        Args:
            record: The record.
            arrived_at_ms: When the reader received it (Unix ms).
        """
        session = SessionKey(record.tenant, record.session)
        if session not in self.sessions or isinstance(record, PartialRecord):
            return
        if isinstance(record, SessionRecord):
            self.ended.add(session)
        if isinstance(record, ScoreRecord):
            self.windows += 1
            for modality in record.modalities_present:
                self._modalities[modality] += 1
            if record.media_end_at_ms is not None:
                delay_ms = arrived_at_ms - record.media_end_at_ms
                self._arrivals.append(Arrival(session, record.end_ms, record.allowed_lateness_ms, delay_ms))

    @property
    def complete(self) -> bool:
        """True once every session has ended."""
        return self.ended == self.sessions

    def summary(
        self, *, media_ms: Mapping[SessionKey, int], recordings: Sequence[SentRecording], wall_s: float, dead_letters: int, late: int
    ) -> RunSummary:
        """Return the last line.

        Args:
            media_ms: Media time at each session's end.
            recordings: What was sent of each recording.
            wall_s: Time from the first chunk to the last summary.
            dead_letters: Growth of the dead-letter topic during the run.
            late: Growth of the topic for late chunks during the run.
        """
        latencies = [arrival.latency_ms(media_ms.get(arrival.session)) for arrival in self._arrivals] if self.live else []
        return RunSummary(
            windows=self.windows,
            sessions=len(self.ended),
            modalities=dict(self._modalities),
            latency_ms={f"p{p}": percentile(latencies, p) for p in PERCENTILES} if latencies else None,
            real_time_factor=None if self.live else round(sum(media_ms.values()) / 1000 / max(wall_s, 0.001), 2),
            dead_letters=dead_letters,
            late=late,
            complete=all(recording.complete for recording in recordings),
            recordings=tuple(recordings),
        )
