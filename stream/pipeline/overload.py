"""What happens when more media come than a worker can decode: it says so, and by setting leaves out the oldest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import structlog

from stream.config.worker_settings import OverloadSettings
from stream.domain.chunk import ChunkHeader, ContentType
from stream.domain.modality import Modality

log = structlog.get_logger(__name__)

CALM_SHARE = 4
"""A worker that is behind leaves out what is older than this part of the bound, so that it returns to fresh media and not to the bound."""

QUIET_MS = 5_000
"""A worker has caught up when nothing that old has waited for this long: sessions take turns, and the log must not."""

AT_ONCE = 32
"""Chunks that may be on their way through decoder and models at once: what waits before them can still be left out. It is enough for the
models' full requests, and for a hundred chunks a second if each takes 0.3 s."""

_READ_DIRECTLY = (ContentType.WORDS, ContentType.FEATURES)
_LEFT_OUT: dict[str, frozenset[Modality]] = {
    "none": frozenset(),
    "video": frozenset({Modality.VIDEO}),
    "media": frozenset({Modality.VIDEO, Modality.AUDIO}),
}


class Overload:
    """Watches how old the media are when their turn comes.

    A record's age is how long the worker has known that Kafka has it (`InboundRecord.known_at_ms`): no clock of a producer counts.

    Args:
        settings: What is left out, and from which age on.
        now: Monotonic clock, ms.
    """

    def __init__(self, settings: OverloadSettings, now: Callable[[], int]) -> None:
        self._settings = settings
        self._left_out = _LEFT_OUT[settings.shed]
        self._now = now
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._calm_ms = settings.after_ms // CALM_SHARE
        self._oldest_ms = 0
        """Age of the oldest chunk whose turn has come since the last tick."""
        self._late_at_ms = 0
        self._chunks = 0
        self.behind_ms = 0
        """Age of the oldest chunk that waits, or whose turn has just come."""
        self.is_behind = False

    @property
    def description(self) -> str:
        """What health says; empty while the worker keeps up."""
        if not self.is_behind:
            return ""
        consequence = {
            "none": "nothing is left out, so results come late (overload.shed: none)",
            "video": "pictures that wait are left out until it has caught up",
            "media": "pictures and sound that wait are left out until it has caught up",
        }[self._settings.shed]
        seconds = self.behind_ms / 1000
        return f"it is {seconds:.1f} s behind: more media come than it can decode, or it has waited for a service; {consequence}"

    def turn(self, header: ChunkHeader) -> AbstractAsyncContextManager[Any]:
        """A place in the decoder for a chunk that may be left out; other chunks need not wait for one."""
        return self._turns if self._may_leave_out(header) else nullcontext()

    def leaves_out(self, header: ChunkHeader, known_at_ms: int | None) -> bool:
        """Whether a chunk whose turn has come is not to be decoded, because it has waited for too long."""
        if known_at_ms is None or header.content_type in _READ_DIRECTLY:
            return False
        age_ms = self._now() - known_at_ms
        self._oldest_ms = max(self._oldest_ms, age_ms)
        self._note(age_ms)
        if not self._may_leave_out(header) or age_ms <= self._bound_ms * (2 if header.modality is Modality.AUDIO else 1):
            return False
        self._chunks += 1
        return True

    def on_time(self, unread_ms: int) -> None:
        """Let time pass.

        Args:
            unread_ms: Age of the oldest record that has not been read.
        """
        self.behind_ms, self._oldest_ms = max(unread_ms, self._oldest_ms), 0
        self._note(self.behind_ms)
        if self.is_behind and self._now() - self._late_at_ms >= QUIET_MS:
            self.is_behind = False
            log.info("caught_up", chunks_left_out=self._chunks)

    @property
    def _bound_ms(self) -> int:
        return self._calm_ms if self.is_behind else self._settings.after_ms

    def _may_leave_out(self, header: ChunkHeader) -> bool:
        return header.modality in self._left_out and header.content_type not in _READ_DIRECTLY

    def _note(self, age_ms: int) -> None:
        if age_ms <= self._bound_ms:
            return
        self._late_at_ms = self._now()
        if not self.is_behind:
            self.is_behind, self._chunks = True, 0
            self.behind_ms = max(self.behind_ms, age_ms)
            log.warning("behind", seconds=round(age_ms / 1000, 1), leaves_out=self._settings.shed)
