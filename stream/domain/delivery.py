"""The records that the pipeline reads, and Redis's answers when a window is made final."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from stream.domain.alert import AlertRecord
from stream.domain.clock_skew import ClockSkews
from stream.domain.track_scores import TrackScores


@dataclass(frozen=True, slots=True)
class InboundRecord:
    """A record as read from Kafka.

    Attributes:
        acknowledge: Called once, when the record no longer needs to be read again.
        known_at_ms: When the worker first knew that it exists (its monotonic clock, ms); None if that was not recorded.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    acknowledge: Callable[[], object]
    known_at_ms: int | None = None


class LastFinal(NamedTuple):
    """The last final window of a track, after which a replay continues.

    Attributes:
        epoch: Its epoch.
        end_ms: Its end.
        clock_skews: The clock skews at that window.
        scores: What later windows are compared with, perhaps of an earlier epoch; None if no window had a score.
        rules: State of the alert rules as JSON, perhaps of an earlier window; None if no rule has seen a window.
    """

    epoch: int
    end_ms: int
    clock_skews: ClockSkews
    scores: TrackScores | None = None
    rules: str | None = None


class WindowAlerts(NamedTuple):
    """What the alert rules found in a window, to be written with it in one atomic step.

    Attributes:
        records: The alerts that it raised or cleared.
        state: State of the rules after it, as JSON, from which a replay or another worker continues.
    """

    records: tuple[AlertRecord, ...]
    state: bytes


class FinaliseOutcome(StrEnum):
    """How Redis answers a request to make a window final."""

    ACCEPTED = "accepted"
    REPLAYED = "replayed"
    """The window was final already, and stays as it is."""
    FENCED = "fenced"
    """Another worker owns the session now."""
