"""One reader for all viewers: keeps the state of each session, and twice a second hands everybody a batch of what has changed.

Bytes are encoded once for all viewers who may see the same. Each viewer has a short queue of its own, so that a slow one holds up nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import TypeVar

import msgspec
import structlog

from stream.aio.service_monitor import ServiceMonitor
from stream.config.settings import Settings
from stream.domain.alert import AlertRecord
from stream.domain.identity import SessionKey
from stream.domain.result import Record
from stream.gateway.disclosure import Disclosed
from stream.gateway.metrics import GatewayMetrics
from stream.gateway.session_state import LiveSession
from stream.gateway.sse import event
from stream.gateway.ticks import Audience, Erased, News, SessionTick, TenantTick, Tick, Viewer
from stream.gateway.views import HISTORY, Batch, SessionPhase, SessionState, Stale
from stream.sinks.connection import RedisConnection
from stream.sinks.examine import RedisHealth
from stream.sinks.problems import RedisUnusableError
from stream.sinks.reader import ResultReader
from stream.sinks.result_pages import missing_sessions
from stream.sinks.stored_alerts import stored_alerts

log = structlog.get_logger(__name__)

Who = TypeVar("Who")
Item = TypeVar("Item")

TICK_S = 0.5
RING = 120
"""Ticks of which a viewer may miss the batches and still continue without a gap: a minute."""
LISTED_MS = 24 * 3600 * 1000
"""Sessions without a result for this long are not listed. They can still be opened by name."""
LOOK_FOR_ERASED_S = 2.0
RETRY_S = 1.0
GATHER_S = 0.05
"""A tick is longer: what is read a little later and together costs less and is shown at the same time."""
REDIS = "redis"

_encode = msgspec.json.Encoder().encode


class Hub:
    """Follows all sessions while `run` runs.

    Args:
        settings: The effective settings.
        redis: A connection.
        clock: Wall clock in seconds (Unix).
    """

    def __init__(self, settings: Settings, redis: RedisConnection, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._redis = redis
        self._clock = clock
        self._monitor = ServiceMonitor({REDIS: RedisHealth(redis).problem})
        self._sessions: dict[SessionKey, LiveSession] = {}
        self._phases: dict[SessionKey, SessionPhase] = {}
        self._now = Tick(1, 0)
        self._ring: deque[Tick] = deque(maxlen=RING)
        self._tenant_viewers: dict[Audience, set[Viewer[TenantTick | Erased]]] = {}
        self._session_viewers: dict[tuple[SessionKey, Disclosed], set[Viewer[SessionTick | Erased]]] = {}
        self.metrics = GatewayMetrics()
        """What this gateway counts."""
        self._watch()
        self.instance = token_hex(4)
        """Distinguishes this gateway's positions from those of others."""
        self.on_alert: Callable[[AlertRecord], None] = lambda _alert: None
        """Called with each alert."""
        self.loaded = False
        """Whether the results that were in Redis at the start have been read."""
        self.listeners: list[Callable[[Record], None]] = []
        """Called with each new record, once what was in Redis at the start has been read."""
        self.ending = asyncio.Event()
        """Set when streams have to end, because the gateway stops."""

    async def run(self) -> None:
        """Read, tick and watch Redis until cancelled. An error that is no outage ends it: a gateway must not go on and miss results."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._monitor.run())
            tasks.create_task(self._tick_for_ever())
            tasks.create_task(self._drop_erased_for_ever())
            tasks.create_task(self._follow())

    @property
    def number(self) -> int:
        """The last tick."""
        return self._now.number - 1

    @property
    def viewers(self) -> int:
        """Open streams."""
        return sum(map(len, self._tenant_viewers.values())) + sum(map(len, self._session_viewers.values()))

    @property
    def stale(self) -> Stale:
        """Since when nothing comes from Redis, and why."""
        ongoing = self._monitor.problems.get(REDIS)
        return Stale() if ongoing is None else Stale(since_ms=round(ongoing.since_s * 1000), reason=ongoing.problem.text)

    def now_ms(self) -> int:
        """Wall clock (Unix ms)."""
        return round(self._clock() * 1000)

    def _watch(self) -> None:
        metrics = self.metrics
        metrics.streams.labels("all").set_function(lambda: sum(map(len, self._tenant_viewers.values())))
        metrics.streams.labels("session").set_function(lambda: sum(map(len, self._session_viewers.values())))
        metrics.sessions.set_function(lambda: len(self._sessions))
        metrics.redis_up.set_function(lambda: REDIS not in self._monitor.problems)

    def add(self, record: Record, at_ms: int) -> None:
        """Take in a record, and the wall clock (Unix ms) of its arrival."""
        self.metrics.records.inc()
        key = SessionKey(record.tenant, record.session)
        session = self._sessions.get(key)
        if session is None:
            session = self._sessions[key] = LiveSession(key)
        session.add(record, at_ms)
        if isinstance(record, AlertRecord):
            self.on_alert(record)
        if self.loaded:
            self._now.news.setdefault(key, News()).add(record)
            for listener in self.listeners:
                listener(record)

    def _add_stored(self, alerts: Iterable[AlertRecord]) -> None:
        """Alerts may have been raised longer ago than the windows that were read."""
        for alert in alerts:
            if session := self._sessions.get(SessionKey(alert.tenant, alert.session)):
                session.add_alert(alert, session.last_result_at_ms)

    def sessions(self) -> Iterator[LiveSession]:
        """All sessions that are listed, the one with the newest result first."""
        return iter(sorted(self._sessions.values(), key=lambda session: (-session.last_result_at_ms, session.key)))

    def session(self, key: SessionKey) -> LiveSession | None:
        """A session that is listed."""
        return self._sessions.get(key)

    def state(self, session: LiveSession, disclosed: Disclosed, *, new_points_only: bool = False) -> SessionState:
        """A session as somebody may see it now."""
        return session.state(self._phase(session), disclosed, new_points_only=new_points_only)

    @contextmanager
    def watch_all(self, audience: Audience) -> Iterator[Viewer[TenantTick | Erased]]:
        """A queue of the ticks of all sessions."""
        with _joined(self._tenant_viewers, audience) as viewer:
            yield viewer

    @contextmanager
    def watch(self, key: SessionKey, disclosed: Disclosed) -> Iterator[Viewer[SessionTick | Erased]]:
        """A queue of the ticks of one session."""
        with _joined(self._session_viewers, (key, disclosed)) as viewer:
            yield viewer

    def since(self, number: int, audience: Audience) -> TenantTick | None:
        """All that changed after a tick, in one batch; None if the ticks behind it are no longer known."""
        ticks = [tick for tick in self._ring if tick.number > number]
        if number > self.number or (number < self.number and (not ticks or ticks[0].number > number + 1)):
            return None
        news = {key: News() for tick in ticks for key in tick.news if audience.sees(key) and key in self._sessions}
        for tick in ticks:
            for key in tick.news.keys() & news.keys():
                news[key].scores += tick.news[key].scores
                news[key].alerts += tick.news[key].alerts
                news[key].summaries += tick.news[key].summaries
        data = self._batch(Tick(self.number, self.now_ms(), news), audience, new_points_only=False)
        return self._tenant_tick(self.number, data)

    def tick(self) -> None:
        """Hand out what has changed since the tick before."""
        tick, now_ms = self._now, self.now_ms()
        tick.at_ms = now_ms
        for session in self._sessions.values():
            phase = self._phase(session)
            if self._phases.get(session.key, phase) is not phase:
                tick.news.setdefault(session.key, News())
            self._phases[session.key] = phase
        self._now = Tick(tick.number + 1, 0)
        self._ring.append(tick.kept())
        if tick.news:
            with self.metrics.batch.time():
                self._hand_out(tick)
            self._count_ages(tick)
            for key in tick.news:
                self._sessions[key].mark_sent()
        self._forget()

    def _count_ages(self, tick: Tick) -> None:
        for news in tick.news.values():
            for score in news.scores:
                if score.media_end_at_ms is not None:
                    self.metrics.result_age.observe(max(0, tick.at_ms - score.media_end_at_ms) / 1000)

    def _hand_out(self, tick: Tick) -> None:
        for audience, viewers in self._tenant_viewers.items():
            shared = self._tenant_tick(tick.number, self._batch(tick, audience, new_points_only=True))
            if shared.text is not None:
                for viewer in viewers:
                    viewer.put(shared)
        for (key, disclosed), watching in self._session_viewers.items():
            if key in tick.news:
                for_session = self._session_tick(tick, key, disclosed)
                for watcher in watching:
                    watcher.put(for_session)

    def _tenant_tick(self, number: int, data: bytes | None) -> TenantTick:
        return TenantTick(number, None if data is None else event("batch", data, f"{self.instance}-{number}"))

    def _batch(self, tick: Tick, audience: Audience, *, new_points_only: bool) -> bytes | None:
        seen = [key for key in tick.news if audience.sees(key)]
        if not seen:
            return None
        states = (self.state(self._sessions[key], audience.disclosed, new_points_only=new_points_only) for key in seen)
        batch = Batch(
            at_ms=tick.at_ms,
            sessions=tuple(states),
            scores=tuple(score for key in seen for score in tick.news[key].scores) if audience.records else (),
            alerts=audience.disclosed.of_alerts(alert for key in seen for alert in tick.news[key].alerts),
            summaries=tuple(summary for key in seen for summary in tick.news[key].summaries),
        )
        return _encode(batch)

    def _session_tick(self, tick: Tick, key: SessionKey, disclosed: Disclosed) -> SessionTick:
        state = self.state(self._sessions[key], disclosed, new_points_only=True)
        return SessionTick(tick.at_ms, state, tick.news[key], encode_session_batch(tick.at_ms, state, tick.news[key], disclosed))

    def _phase(self, session: LiveSession) -> SessionPhase:
        return session.phase(self.now_ms(), round(self._settings.gateway.quiet_after_s * 1000))

    def _forget(self) -> None:
        """Keep the list within its bounds."""
        kept, oldest_ms = self._settings.gateway.sessions, self.now_ms() - LISTED_MS
        if len(self._sessions) > kept or any(session.last_result_at_ms < oldest_ms for session in self._sessions.values()):
            listed = [session for session in self.sessions() if session.last_result_at_ms >= oldest_ms][:kept]
            self._sessions = {session.key: session for session in listed}
            self._phases = {key: phase for key, phase in self._phases.items() if key in self._sessions}

    async def _tick_for_ever(self) -> None:
        # Evenly: the time of a tick itself must not make the next one late.
        due = time.monotonic()
        while True:
            due = max(due + TICK_S, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            self.tick()

    async def _drop_erased_for_ever(self) -> None:
        """Drop sessions that are no longer in Redis, because somebody has erased them or Redis was emptied.

        Only those that are missing twice in a row: a new session has results a moment before it is listed.
        """
        before = set[SessionKey]()
        while True:
            await asyncio.sleep(LOOK_FOR_ERASED_S)
            with suppress(RedisUnusableError):
                missing = set(await missing_sessions(self._redis, list(self._sessions)))
                self.drop(missing & before)
                before = missing

    def drop(self, erased: Iterable[SessionKey]) -> None:
        """Forget sessions, and tell who has seen them."""
        for key in erased:
            self._sessions.pop(key, None)
            self._phases.pop(key, None)
            for tick in (*self._ring, self._now):
                tick.news.pop(key, None)
            for audience, viewers in self._tenant_viewers.items():
                if audience.sees(key):
                    for viewer in viewers:
                        viewer.put(Erased(self.number))
            for (watched, _), watching in self._session_viewers.items():
                if watched == key:
                    for watcher in watching:
                        watcher.put(Erased(self.number))

    async def _follow(self) -> None:
        since_ms = self.now_ms() - LISTED_MS
        while True:
            self._sessions.clear()
            try:
                async with ResultReader(self._settings.redis, tail=HISTORY, active_since_ms=since_ms, gather_s=GATHER_S) as reader:
                    async for received in reader.held():
                        self.add(received.record, received.received_at_ms)
                    async for alerts in stored_alerts(self._redis, since_ms):
                        self._add_stored(alerts)
                    for session in self._sessions.values():
                        session.mark_sent()
                    self.loaded = True
                    async for received in reader:
                        self.add(received.record, received.received_at_ms)
            except RedisUnusableError:
                # Only before anything was read: the reader waits out later outages itself. The monitor says what is wrong.
                await asyncio.sleep(RETRY_S)


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
