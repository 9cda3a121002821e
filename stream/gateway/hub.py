"""One reader for all viewers: keeps the state of each session, and twice a second gives what has changed to the broadcast."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress

import structlog

from stream.aio.service_monitor import ServiceMonitor
from stream.config.settings import Settings
from stream.domain.alert import AlertRecord
from stream.domain.identity import SessionKey
from stream.domain.result import Record
from stream.gateway.broadcast import Broadcast
from stream.gateway.disclosure import Disclosed
from stream.gateway.metrics import GatewayMetrics
from stream.gateway.session_state import LiveSession
from stream.gateway.ticks import News, Tick
from stream.gateway.views import HISTORY, SessionPhase, SessionState, Stale
from stream.sinks.connection import RedisConnection
from stream.sinks.examine import RedisHealth
from stream.sinks.problems import RedisUnusableError
from stream.sinks.reader import ResultReader
from stream.sinks.result_pages import missing_sessions
from stream.sinks.stored_alerts import stored_alerts

log = structlog.get_logger(__name__)

TICK_S = 0.5
LISTED_MS = 24 * 3600 * 1000
"""Sessions without a result for this long are not listed. They can still be opened by name."""
LOOK_FOR_ERASED_S = 2.0
RETRY_S = 1.0
GATHER_S = 0.05
"""A tick is longer: what is read a little later and together costs less and is shown at the same time."""
REDIS = "redis"


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
        self.broadcast = Broadcast(self._listed_state, self.now_ms)
        """Hands ticks to viewers."""
        self.metrics = GatewayMetrics()
        """What this gateway counts."""
        self._watch()
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
    def stale(self) -> Stale:
        """Since when nothing comes from Redis, and why."""
        ongoing = self._monitor.problems.get(REDIS)
        return Stale() if ongoing is None else Stale(since_ms=round(ongoing.since_s * 1000), reason=ongoing.problem.text)

    def now_ms(self) -> int:
        """Wall clock (Unix ms)."""
        return round(self._clock() * 1000)

    def _watch(self) -> None:
        metrics = self.metrics
        metrics.streams.labels("all").set_function(lambda: self.broadcast.watching_all)
        metrics.streams.labels("session").set_function(lambda: self.broadcast.watching_one)
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
        # Empty ticks are handed out for their numbers alone; their time would only hide that of the others.
        with self.metrics.batch.time() if tick.news else nullcontext():
            self.broadcast.hand_out(tick)
        if tick.news:
            self._count_ages(tick)
            for key in tick.news:
                self._sessions[key].mark_sent()
        self._forget()

    def _count_ages(self, tick: Tick) -> None:
        for news in tick.news.values():
            for score in news.scores:
                if score.media_end_at_ms is not None:
                    self.metrics.result_age.observe(max(0, tick.at_ms - score.media_end_at_ms) / 1000)

    def _listed_state(self, key: SessionKey, disclosed: Disclosed, *, new_points_only: bool) -> SessionState | None:
        session = self._sessions.get(key)
        return None if session is None else self.state(session, disclosed, new_points_only=new_points_only)

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
            self._now.news.pop(key, None)
            self.broadcast.drop(key)

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
