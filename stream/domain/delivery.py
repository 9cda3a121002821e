"""A record on its way in, and what became of a window on its way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from stream.domain.clock_skew import ClockSkews


@dataclass(frozen=True, slots=True)
class InboundRecord:
    """A record as read from Kafka.

    Attributes:
        acknowledge: Called once, when the record need not be read again.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    acknowledge: Callable[[], object]


class LastFinal(NamedTuple):
    """Where a replay of a track goes on: its last final window, and the clock skews as of then."""

    epoch: int
    end_ms: int
    clock_skews: ClockSkews


class FinaliseOutcome(StrEnum):
    """What Redis said to a final window."""

    ACCEPTED = "accepted"
    REPLAYED = "replayed"
    """It was final already."""
    FENCED = "fenced"
    """Another worker owns the session now."""
