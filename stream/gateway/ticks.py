"""What the hub hands to viewers twice a second, and the queues in which it waits for them. Pure."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from stream.domain.alert import AlertRecord
from stream.domain.identity import SessionKey
from stream.domain.result import ExplanationRecord, PartialRecord, Record, ScoreRecord, SessionRecord
from stream.gateway.disclosure import Disclosed
from stream.gateway.views import SessionState

Item = TypeVar("Item")

QUEUE = 4
"""Batches that wait for one viewer. One that is further behind gets what it missed in one batch, or is told of a gap."""


@dataclass(slots=True)
class News:
    """What is new of one session in one tick."""

    scores: list[ScoreRecord] = field(default_factory=list)
    explanations: list[ExplanationRecord] = field(default_factory=list)
    partials: dict[str, PartialRecord] = field(default_factory=dict)
    alerts: list[AlertRecord] = field(default_factory=list)
    summaries: list[SessionRecord] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Add a record."""
        match record:
            case AlertRecord():
                self.alerts.append(record)
            case PartialRecord():
                self.partials[record.track] = record
            case ScoreRecord():
                self.scores.append(record)
            case ExplanationRecord():
                self.explanations.append(record)
            case SessionRecord():
                self.summaries.append(record)


@dataclass(slots=True)
class Tick:
    """What changed between two batches.

    Attributes:
        number: Rises by one.
        at_ms: Wall clock (Unix ms).
        news: By session that changed, in a result or in its phase.
    """

    number: int
    at_ms: int
    news: dict[SessionKey, News] = field(default_factory=dict)

    def kept(self) -> Tick:
        """What a viewer who comes back needs of it. Explanations are most of the memory of a tick."""
        kept = {key: News(news.scores, alerts=news.alerts, summaries=news.summaries) for key, news in self.news.items()}
        return Tick(self.number, self.at_ms, kept)


@dataclass(frozen=True, slots=True)
class Audience:
    """Viewers of all sessions who may see the same.

    Attributes:
        tenants: Whose sessions; None for all.
        disclosed: What of them.
        records: Whether batches have the records of final windows.
    """

    tenants: frozenset[str] | None
    disclosed: Disclosed
    records: bool

    def sees(self, session: SessionKey) -> bool:
        """Whether they see a session."""
        return self.tenants is None or session.tenant in self.tenants


@dataclass(frozen=True, slots=True)
class TenantTick:
    """One tick for an audience: its number, and the text of its event, None if nothing of it is theirs. All viewers share the text."""

    number: int
    text: bytes | None


@dataclass(frozen=True, slots=True)
class Erased:
    """Instead of a tick: sessions that the viewer has seen are no longer there."""

    number: int


@dataclass(frozen=True, slots=True)
class SessionTick:
    """One tick of one session, for its viewers. `data` is the JSON of the whole batch."""

    at_ms: int
    state: SessionState
    news: News
    data: bytes


class Viewer(Generic[Item]):
    """The queue of one open stream."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._ready = asyncio.Event()
        self._fell_behind = False

    def put(self, item: Item) -> None:
        """Add an item; if the queue is full, forget all of them instead."""
        if len(self._items) >= QUEUE:
            self._items.clear()
            self._fell_behind = True
        elif not self._fell_behind:
            self._items.append(item)
        self._ready.set()

    async def get(self) -> Item | None:
        """The next item. None if the viewer has fallen behind: what was in the queue is forgotten, and it begins anew."""
        while not self._items and not self._fell_behind:
            self._ready.clear()
            await self._ready.wait()
        if self._fell_behind:
            self._fell_behind = False
            return None
        return self._items.popleft()
