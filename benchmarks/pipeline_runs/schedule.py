"""Which windows of the load are due, and when: pure.

Every kind of media has words in chunks of a second. A window is due when the chunk is sent that proves it complete: the first one that
ends after the window by the allowed lateness or more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from benchmarks.pipeline_runs.raw_media import SECOND_MS
from stream.config.settings import Settings

WINDOWS = Settings().windows
LATENESS_MS = WINDOWS.allowed_lateness_ms
PROOF_MS = ceil(LATENESS_MS / SECOND_MS) * SECOND_MS
"""Time from the end of a window until the end of the chunk that proves it complete."""

WindowName = tuple[str, int]
"""Session and end (ms) of a window."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Live sessions of one load.

    Attributes:
        prefix: That of the topics, after which the sessions are named.
        first: Number of the first session.
        sessions: Number of sessions. Their starts are spread over the first second.
        seconds: Seconds that each of them sends.
        began_s: When the first began (Unix s).
    """

    prefix: str
    first: int
    sessions: int
    seconds: int
    began_s: float

    def due(self, since_s: float, until_s: float) -> Iterator[WindowName]:
        """The windows that become due from one moment (Unix s) on and before another."""
        for index in range(self.sessions):
            media_began_s = self.began_s + index / self.sessions
            for end_ms in range(WINDOWS.length_ms, self.seconds * SECOND_MS - PROOF_MS + 1, WINDOWS.hop_ms):
                if since_s <= media_began_s + (end_ms + PROOF_MS) / 1000 < until_s:
                    yield session_name(self.prefix, self.first + index), end_ms


def session_name(prefix: str, number: int) -> str:
    """Name of a session of the load."""
    return f"{prefix.rstrip('.') or 'run'}-{number}"
