"""Events of the embedded stack: which service started, failed or was restarted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class ServiceState(StrEnum):
    """The state that a service has just entered."""

    FETCHING = "fetching"
    """Its files are being fetched, once."""
    FETCHED = "fetched"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    RESTARTED = "restarted"
    FAILED = "failed"
    """It is lost for good: it will not be restarted again."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class StackEvent:
    """A service entered a state.

    Attributes:
        service: ``kafka``, ``redis``, ``triton`` or ``worker-N``.
        state: The new state.
        detail: An address, or the reason of a restart or failure.
        seconds: How long the start or restart took; 0 for other events.
        restarts: How often the service has been restarted so far.
    """

    service: str
    state: ServiceState
    detail: str = ""
    seconds: float = 0.0
    restarts: int = 0


OnEvent = Callable[[StackEvent], None]


def ignore_event(_event: StackEvent) -> None:
    """An `OnEvent` that does nothing."""
