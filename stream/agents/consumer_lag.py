"""Whether the worker has read everything that exists. Only then does quiet mean silence."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable

import structlog
from faust import App
from faust.types import TP

from stream.agents.faust_patches.consumer import FetchedPosition, fetched_position
from stream.agents.known_ends import KnownEnds

log = structlog.get_logger(__name__)

RETURN_S = 10.0
"""After an outage of the broker, producers reconnect later than the worker does: for this long their silence is no evidence."""


OPEN_TRANSACTION_S = 30.0
"""A transaction that stays open for longer is reported: nothing behind it can be read, and no quiet counts as silence."""

REMEMBERED_ENDS = 256
"""Ends of a partition that are remembered while a transaction is open."""


class ConsumerLag:
    """Compares the records read so far with the ends of the assigned partitions.

    An open transaction hides everything behind its first record, also what others have written. While there is one, everything has been
    read only up to the moment at which the broker last said that the partition ends there.

    Args:
        app: The Faust app.
        topics: Topics whose partitions count.
        stale_after_ms: An older answer of the broker no longer counts: the broker may be away, and may hold unread records.
    """

    def __init__(self, app: App, topics: Iterable[str], *, stale_after_ms: int) -> None:
        self._app = app
        self._topics = frozenset(topics)
        self._stale_after_ms = stale_after_ms
        self._not_before = 0.0
        """Until then (monotonic, s), `caught_up_until` says nothing."""
        self._checked_at = time.monotonic()
        self._next: dict[TP, int] = {}
        self._assigned: frozenset[TP] = frozenset()
        self._assigned_at_ms = 0.0
        self._ends: dict[TP, list[tuple[int, float]]] = defaultdict(list)
        """By partition its ends, each with the moment of the last answer that gave it (Unix ms), in rising order."""
        self._known: dict[TP, KnownEnds] = defaultdict(KnownEnds)
        self._blocked: dict[TP, tuple[int, float]] = {}
        """Partitions with an open transaction: its first offset, and since when it has been seen (monotonic, s)."""
        self._reported: set[TP] = set()

    def check_transactions(self) -> str | None:
        """Log each transaction that has been open for too long, once.

        Returns:
            What is wrong, for the health endpoints; None if nothing is.
        """
        now = time.monotonic()
        long_open = sorted(tp for tp, (_, since) in self._blocked.items() if now - since > OPEN_TRANSACTION_S)
        for tp in long_open:
            if tp not in self._reported:
                log.warning("transaction_open", topic=tp.topic, partition=tp.partition, offset=self._blocked[tp][0])
        self._reported = set(long_open)
        if not long_open:
            return None
        named = ", ".join(f"{tp.topic}/{tp.partition}" for tp in long_open)
        return f"a producer has left a transaction open in {named}: nothing behind it can be read until it is committed or aborted"

    @property
    def partitions(self) -> int:
        """Input partitions of this worker."""
        return len(self._assigned)

    @property
    def records_behind(self) -> int:
        """Records that the broker has and this worker has not read, as far as the broker has said."""
        behind = 0
        for tp in self._assigned:
            position = fetched_position(self._app, tp)
            if position is not None:
                behind += max(0, position.end_offset - self._read_to(tp, position))
        return behind

    @property
    def unread_ms(self) -> int:
        """Age of the oldest record that this worker has not read: how long it has known of it. 0 if there is none."""
        now_ms = _now_ms()
        ages = [0]
        for tp in self._assigned:
            position = fetched_position(self._app, tp)
            if position is not None and (read_to := self._read_to(tp, position)) < position.stable_offset:
                ages.append(now_ms - self.known_at_ms(tp, read_to))
        return max(ages)

    def known_at_ms(self, tp: TP, offset: int) -> int:
        """Since when (monotonic, ms) this worker knows that a record exists which it has not read before."""
        known = self._known[tp].known_at_ms(offset)
        return _now_ms() if known is None else known

    @property
    def silent_s(self) -> float:
        """How long ago (s) the broker last answered a fetch, or assigned partitions; 0 without partitions."""
        if not self._assigned:
            return 0.0
        positions = [fetched_position(self._app, tp) for tp in self._assigned]
        answers_ms = [position.answered_at_ms for position in positions if position is not None]
        return max(0.0, time.time() - max([*answers_ms, self._assigned_at_ms]) / 1000)

    def on_assigned(self, assigned: Iterable[TP]) -> None:
        """Start again with these partitions."""
        self._next.clear()
        self._ends.clear()
        self._known.clear()
        self._blocked.clear()
        self._assigned = frozenset(tp for tp in assigned if tp.topic in self._topics)
        self._assigned_at_ms = time.time() * 1000

    def on_revoked(self) -> None:
        """Nothing is assigned until further notice."""
        self._assigned = frozenset()
        self._blocked.clear()

    def on_read(self, tp: TP, offset: int) -> None:
        """A record has been read."""
        self._next[tp] = offset + 1
        self._known[tp].on_read(offset)

    def caught_up_until(self) -> int | None:
        """The moment (monotonic, ms) at which the broker had nothing more for this worker in any partition.

        Returns:
            None while there is more to read. None also where the answer would not be reliable:

            * after the broker has not answered for too long, and for `RETURN_S` after it is back;
            * when this method was not called for `stale_after_ms`: the process stood still, and the first answers that it finds in its
              socket may date from before.
        """
        checked_at, self._checked_at = self._checked_at, time.monotonic()
        if self._checked_at - checked_at > self._stale_after_ms / 1000:
            self._not_before = max(self._not_before, self._checked_at + self._stale_after_ms / 1000)
        ages_ms = [self._age_ms(tp, round(checked_at * 1000)) for tp in self._assigned]
        if not ages_ms or any(age is None for age in ages_ms) or time.monotonic() < self._not_before:
            return None
        return _now_ms() - round(max(age for age in ages_ms if age is not None))

    def _age_ms(self, tp: TP, checked_at_ms: int) -> float | None:
        """How long ago the broker said that a partition has been read to its end; None when it does not say so now."""
        position = fetched_position(self._app, tp)
        if position is None:
            return None
        age_ms = time.time() * 1000 - position.answered_at_ms
        # An end that was not there at the last check came after it: a wall clock that is set forward must not make records old.
        self._known[tp].note(position.end_offset, max(checked_at_ms, _now_ms() - max(0, round(age_ms))))
        if age_ms > self._stale_after_ms:
            self._not_before = time.monotonic() + RETURN_S
            return None
        self._remember_end(tp, position)
        read_to = self._read_to(tp, position)
        is_blocked = position.stable_offset <= read_to < position.end_offset
        self._note_transaction(tp, position.stable_offset if is_blocked else None)
        if is_blocked:
            read = [end for end in self._ends[tp] if end[0] <= read_to]
            del self._ends[tp][: max(0, len(read) - 1)]
            return max(0.0, time.time() * 1000 - read[-1][1]) if read else None
        return max(0.0, age_ms) if read_to >= position.end_offset else None

    def _read_to(self, tp: TP, position: FetchedPosition) -> int:
        """The first offset of a partition that this worker has not processed."""
        processed = self._next.get(tp, 0)
        return position.read_to.position if processed > position.read_to.last_offset else processed

    def _remember_end(self, tp: TP, position: FetchedPosition) -> None:
        ends = self._ends[tp]
        if position.stable_offset == position.end_offset:
            ends.clear()
        elif ends and (ends[-1][0] >= position.end_offset or len(ends) >= REMEMBERED_ENDS):
            ends.pop()
        ends.append((position.end_offset, position.answered_at_ms))

    def _note_transaction(self, tp: TP, first_offset: int | None) -> None:
        if first_offset is None:
            self._blocked.pop(tp, None)
        elif self._blocked.get(tp, (-1, 0.0))[0] != first_offset:
            self._blocked[tp] = first_offset, time.monotonic()


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
