"""Starts, consents and ends of a session that an epoch holds unacknowledged until its summary is written."""

from __future__ import annotations

from collections.abc import Callable

from stream.domain.delivery import InboundRecord
from stream.domain.session_events import KeyedSessionEvent

HeldEvent = tuple[KeyedSessionEvent, InboundRecord]


class SessionEventBuffer:
    """Holds the records of an epoch's starts, consents and ends, so that a replay sees them, and delays events that came too early.

    The topics of events and of chunks are read independently. So an event that belongs to a later run of the media clock may be read
    before the chunks that show that the clock has started again. Such an event is *early*: it is applied only once every
    existing record has been read. Until then it may be transferred to the later epoch.

    Args:
        same_clock_ms: By how much two records of one media clock may disagree about when its media began.
    """

    def __init__(self, same_clock_ms: int) -> None:
        self._same_clock_ms = same_clock_ms
        self._held: list[HeldEvent] = []
        self._early: list[KeyedSessionEvent] = []
        self._first_media_start_at_ms: int | None = None

    def __len__(self) -> int:
        """Events that are held."""
        return len(self._held)

    def add(self, event: KeyedSessionEvent, record: InboundRecord, newest_media_start_at_ms: int | None) -> bool:
        """Hold an event's record.

        Args:
            event: The event.
            record: Its record.
            newest_media_start_at_ms: Wall clock at which media began, by the newest chunk; None before the first.

        Returns:
            True if the event may be applied now, False if it is early.
        """
        self._held.append((event, record))
        if self._first_media_start_at_ms is None:
            self._first_media_start_at_ms = event.media_start_at_ms
        since = self._first_media_start_at_ms if newest_media_start_at_ms is None else newest_media_start_at_ms
        if event.media_start_at_ms is not None and since is not None and event.media_start_at_ms - since > self._same_clock_ms:
            self._early.append(event)
            return False
        return True

    def take_early(self) -> list[KeyedSessionEvent]:
        """The early events, which may be applied now that every existing record has been read."""
        early, self._early = self._early, []
        return early

    def transfer(self, belongs: Callable[[KeyedSessionEvent], bool]) -> list[HeldEvent]:
        """Hand over the events that turn out to belong to a later epoch."""
        given = [held for held in self._held if belongs(held[0])]
        self._held = [held for held in self._held if not belongs(held[0])]
        self._early = [event for event in self._early if not belongs(event)]
        return given

    def acknowledge(self) -> None:
        """Acknowledge every held record: the epoch's summary is written."""
        for _, record in self._held:
            record.acknowledge()
        self._held.clear()
