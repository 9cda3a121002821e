"""Hands out what has changed, twice a second, to all who watch.

Bytes are encoded once for all viewers who may see the same. Each viewer has a short queue of its own, so that a slow one holds up nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Protocol, TypeVar

import msgspec

from stream.domain.identity import SessionKey
from stream.gateway.disclosure import Disclosed
from stream.gateway.sse import event
from stream.gateway.ticks import Audience, Erased, News, SessionTick, TenantTick, Tick, Viewer
from stream.gateway.views import Batch, SessionState

Who = TypeVar("Who")
Item = TypeVar("Item")

RING = 120
"""Ticks of which a viewer may miss the batches and still continue without a gap: a minute."""

_encode = msgspec.json.Encoder().encode


class StateOf(Protocol):
    """The state of a session that is listed, as somebody may see it; None for another one."""

    def __call__(self, key: SessionKey, disclosed: Disclosed, *, new_points_only: bool) -> SessionState | None:
        """The state; with `new_points_only`, of its points those that no batch has had."""


class Broadcast:
    """Hands ticks to viewers, and keeps those of the last minute for viewers who come back.

    Args:
        state_of: The state of a session.
        now_ms: Wall clock (Unix ms).
    """

    def __init__(self, state_of: StateOf, now_ms: Callable[[], int]) -> None:
        self._state_of = state_of
        self._now_ms = now_ms
        self._ring: deque[Tick] = deque(maxlen=RING)
        self._of_all: dict[Audience, set[Viewer[TenantTick | Erased]]] = {}
        self._of_one: dict[tuple[SessionKey, Disclosed], set[Viewer[SessionTick | Erased]]] = {}
        self.number = 0
        """Of the last tick."""
        self.instance = token_hex(4)
        """Distinguishes this gateway's positions from those of others."""

    @property
    def viewers(self) -> int:
        """Open streams."""
        return self.watching_all + self.watching_one

    @property
    def watching_all(self) -> int:
        """Open streams of all sessions."""
        return sum(map(len, self._of_all.values()))

    @property
    def watching_one(self) -> int:
        """Open streams of one session each."""
        return sum(map(len, self._of_one.values()))

    @contextmanager
    def watch_all(self, audience: Audience) -> Iterator[Viewer[TenantTick | Erased]]:
        """A queue of the ticks of all sessions."""
        with _joined(self._of_all, audience) as viewer:
            yield viewer

    @contextmanager
    def watch(self, key: SessionKey, disclosed: Disclosed) -> Iterator[Viewer[SessionTick | Erased]]:
        """A queue of the ticks of one session."""
        with _joined(self._of_one, (key, disclosed)) as viewer:
            yield viewer

    def since(self, number: int, audience: Audience) -> TenantTick | None:
        """All that changed after a tick, in one batch; None if the ticks behind it are no longer known."""
        ticks = [tick for tick in self._ring if tick.number > number]
        if number > self.number or (number < self.number and (not ticks or ticks[0].number > number + 1)):
            return None
        news = {key: News() for tick in ticks for key in tick.news if audience.sees(key)}
        for tick in ticks:
            for key in tick.news.keys() & news.keys():
                news[key].scores += tick.news[key].scores
                news[key].alerts += tick.news[key].alerts
                news[key].summaries += tick.news[key].summaries
        data = self._batch(Tick(self.number, self._now_ms(), news), audience, new_points_only=False)
        return self._tenant_tick(self.number, data)

    def hand_out(self, tick: Tick) -> None:
        """Hand out the next tick."""
        self.number = tick.number
        self._ring.append(tick.kept())
        if not tick.news:
            return
        for audience, viewers in self._of_all.items():
            shared = self._tenant_tick(tick.number, self._batch(tick, audience, new_points_only=True))
            if shared.text is not None:
                for viewer in viewers:
                    viewer.put(shared)
        for (key, disclosed), watching in self._of_one.items():
            for_session = self._session_tick(tick, key, disclosed)
            if for_session is not None:
                for watcher in watching:
                    watcher.put(for_session)

    def drop(self, key: SessionKey) -> None:
        """Forget a session that was erased, and tell who has seen it."""
        for tick in self._ring:
            tick.news.pop(key, None)
        erased = Erased(self.number)
        for audience, viewers in self._of_all.items():
            if audience.sees(key):
                for viewer in viewers:
                    viewer.put(erased)
        for (watched, _), watching in self._of_one.items():
            if watched == key:
                for watcher in watching:
                    watcher.put(erased)

    def _tenant_tick(self, number: int, data: bytes | None) -> TenantTick:
        return TenantTick(number, None if data is None else event("batch", data, f"{self.instance}-{number}"))

    def _batch(self, tick: Tick, audience: Audience, *, new_points_only: bool) -> bytes | None:
        states = {
            key: state
            for key in tick.news
            if audience.sees(key) and (state := self._state_of(key, audience.disclosed, new_points_only=new_points_only)) is not None
        }
        if not states:
            return None
        batch = Batch(
            at_ms=tick.at_ms,
            sessions=tuple(states.values()),
            scores=tuple(score for key in states for score in tick.news[key].scores) if audience.records else (),
            alerts=audience.disclosed.of_alerts(alert for key in states for alert in tick.news[key].alerts),
            summaries=tuple(summary for key in states for summary in tick.news[key].summaries),
        )
        return _encode(batch)

    def _session_tick(self, tick: Tick, key: SessionKey, disclosed: Disclosed) -> SessionTick | None:
        state = self._state_of(key, disclosed, new_points_only=True) if key in tick.news else None
        if state is None:
            return None
        return SessionTick(tick.at_ms, state, tick.news[key], encode_session_batch(tick.at_ms, state, tick.news[key], disclosed))


def encode_session_batch(at_ms: int, state: SessionState, news: News, disclosed: Disclosed) -> bytes:
    """The JSON of one session's batch, as its viewers may see it."""
    return _encode(
        Batch(
            at_ms=at_ms,
            sessions=(state,),
            scores=tuple(news.scores),
            partials=tuple(news.partials.values()),
            explanations=tuple(map(disclosed.explanation, news.explanations)),
            alerts=disclosed.of_alerts(news.alerts),
            summaries=tuple(news.summaries),
        )
    )


@contextmanager
def _joined(viewers: dict[Who, set[Viewer[Item]]], who: Who) -> Iterator[Viewer[Item]]:
    viewer = Viewer[Item]()
    viewers.setdefault(who, set()).add(viewer)
    try:
        yield viewer
    finally:
        viewers[who].discard(viewer)
        if not viewers[who]:
            del viewers[who]
