"""What a demo run came to: windows, modalities, latency or speed. Pure; it is handed what a reader saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

import msgspec

from stream.domain.identity import SessionKey
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import PartialRecord, Record, ScoreRecord, SessionRecord

PERCENTILES = (50, 95, 99)


class RunSummary(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="summary"):
    """The last line of a run.

    Attributes:
        windows: Final windows.
        sessions: Sessions that ended with a summary.
        modalities: How many final windows held each modality.
        latency_ms: Percentiles from a window's end (or the session's, where that comes first) to visible in Redis, without the
            lateness allowance; None at ``--speed max``, where media has no pace.
        real_time_factor: Media seconds, over all sessions, for each second of wall clock; None in live pace.
        dead_letters: Records put aside during the run.
        late: Chunks that came after their windows had closed.
    """

    windows: int
    sessions: int
    modalities: dict[Modality, int]
    latency_ms: dict[str, float] | None
    real_time_factor: float | None
    dead_letters: int
    late: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a final window could be seen.

    Attributes:
        session: Whose window it is.
        end_ms: Media time of its end.
        allowance_ms: How long windows wait for late chunks.
        whole_ms: From the capture of its last media to its sight, whatever it waited for.
    """

    session: SessionKey
    end_ms: int
    allowance_ms: int
    whole_ms: int

    def latency_ms(self, media_end_ms: int | None) -> int:
        """Without the allowance for late chunks; a window that the session's end at `media_end_ms` closed did not wait for those."""
        waited = media_end_ms is None or self.end_ms + self.allowance_ms <= media_end_ms
        return max(0, self.whole_ms - self.allowance_ms) if waited else max(0, self.whole_ms)


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest-rank percentile of at least one value: the smallest value that `percent` % of them do not exceed."""
    ranked = sorted(values)
    return ranked[max(1, ceil(len(ranked) * percent / 100)) - 1]


def counted(number: int, what: str) -> str:
    """``1 window``, ``2 windows``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def in_words(summary: RunSummary) -> Iterator[str]:
    """The summary for people, line by line."""
    by_modality = ", ".join(f"{modality} in {number}" for modality, number in summary.modalities.items())
    yield f"{counted(summary.sessions, 'session')}, {counted(summary.windows, 'final window')} ({by_modality})"
    if summary.latency_ms is not None:
        percentiles = ", ".join(f"{name} {value:.0f} ms" for name, value in summary.latency_ms.items())
        yield f"from a window's end to its result in Redis: {percentiles}"
    if summary.real_time_factor is not None:
        yield f"{summary.real_time_factor:g} seconds of media for each second"
    yield f"{counted(summary.dead_letters, 'dead letter')}, {counted(summary.late, 'late chunk')}"


@dataclass
class RunReport:
    """Collects what was seen.

    Args:
        sessions: Those that belong to the run; records of others are not counted.
        live: Whether media came at its own pace.
    """

    sessions: frozenset[SessionKey]
    live: bool
    ended: set[SessionKey] = field(default_factory=set)
    windows: int = 0
    _modalities: dict[Modality, int] = field(default_factory=lambda: dict.fromkeys(MODALITIES, 0))
    _arrivals: list[Arrival] = field(default_factory=list)

    def add(self, record: Record, seen_at_ms: int) -> None:
        """Count a record."""
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
                whole_ms = seen_at_ms - record.media_end_at_ms
                self._arrivals.append(Arrival(session, record.end_ms, record.allowed_lateness_ms, whole_ms))

    @property
    def complete(self) -> bool:
        """True when every session has ended."""
        return self.ended == self.sessions

    def summary(self, *, media_ms: Mapping[SessionKey, int], wall_s: float, dead_letters: int, late: int) -> RunSummary:
        """The last line.

        Args:
            media_ms: Media time at each session's end.
            wall_s: From the first chunk to the last summary.
            dead_letters: Growth of the dead-letter topic.
            late: Growth of the topic for late chunks.
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
        )
