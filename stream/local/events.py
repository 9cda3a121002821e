"""What the embedded stack tells of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Change(StrEnum):
    """What happened to a part."""

    FETCHING = "fetching"
    """Its files are being fetched, once."""
    FETCHED = "fetched"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    RESTARTED = "restarted"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One change of one part.

    Attributes:
        part: ``kafka``, ``redis``, ``triton``, ``models`` or ``worker-N``.
        change: What happened.
        detail: An address, or a reason.
        seconds: How long it took, where that is known.
        restarts: How often the part was restarted so far.
    """

    part: str
    change: Change
    detail: str = ""
    seconds: float = 0.0
    restarts: int = 0


OnEvent = Callable[[StackEvent], None]


def ignore(_event: StackEvent) -> None:
    """The listener that does not care."""
