"""Follows results in Redis: scores, explanations, alerts, partial results and summaries, each once, in order for each track.

The streams hold the results. Pub/sub messages ("nudges") only say that a session has new results. Redis does not deliver them reliably,
so a slow poll finds the results whose nudges were lost. An outage of Redis is waited out, and reading continues where it stopped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar, cast

from redis.asyncio import RedisCluster

from stream.aio.backoff import Backoff
from stream.aio.cancellation import CancellationGuard
from stream.aio.outage import wait_out
from stream.config.service_settings import RedisSettings
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import Record, decode_record
from stream.sinks.connection import RedisClient, RedisConnection, is_outage
from stream.sinks.cursor import START, Entry, SessionCursor, TrackAnswer, TrackCursor
from stream.sinks.keys import NUDGES, SESSIONS, session_names, session_of_nudge, track_names

Answer = TypeVar("Answer")

PAGE = 200
"""Entries of one stream that are read in one call."""
ALERTS_PAGE = 1000
"""Alerts that are read in one call: more than the windows of a page have, so that alerts are here when their windows are."""
OVERLAP_MS = 10_000
"""Active sessions are looked up from this long before the newest known activity. Workers write their own wall clocks, which may differ:
without the overlap, a session whose worker's clock is behind would be missed."""
RECENT_MS = 600_000
"""A poll reads the sessions with activity this long before the newest one. Others cannot have results: a worker marks a session as active
when it writes. Without this bound, an idle reader would read all sessions of a week again every second."""
AT_ONCE = 64
"""Most sessions that are read in one round trip while they are followed: each has a few new entries."""
AT_ONCE_AT_FIRST = 16
"""The same at the start, when each may have a whole page."""
BACKOFF = Backoff(first_s=0.5, cap_s=0.5, jitter=0.0)
"""Constant pauses while Redis is away: a reader is watched by a person, and should be back soon after Redis is."""


@dataclass(frozen=True, slots=True)
class ReceivedRecord:
    """A record, and the wall clock (Unix ms) at which this reader received it."""

    record: Record
    received_at_ms: int


class ResultReader:
    """An async context manager, and inside it an iterator over results that ends only when it is closed or cancelled.

    Args:
        settings: Where Redis is.
        sessions: The sessions to follow; None follows all sessions, including those that begin later.
        tenant: With ``sessions=None``, follow the sessions of this tenant only.
        from_start: Whether to begin with the results that are in Redis already.
        poll_s: Longest time between two reads when no nudge arrives.
        gather_s: How long nudges are gathered before their sessions are read: fewer, larger reads where many sessions are followed.
        active_since_ms: With ``sessions=None``, leave out sessions without activity since then (wall clock, Unix ms).
        tail: Begin with this many of the newest windows of each track that is there at the start; None begins with the oldest.
        after: Begin behind these entries of the streams (``EPOCH-WINDOW_END``): the position of an earlier reader.
    """

    def __init__(
        self,
        settings: RedisSettings,
        sessions: Collection[SessionKey] | None = None,
        *,
        tenant: str | None = None,
        from_start: bool = True,
        poll_s: float = 1.0,
        gather_s: float = 0.0,
        active_since_ms: int = 0,
        tail: int | None = None,
        after: Mapping[TrackKey, str] | None = None,
    ) -> None:
        self._settings = settings
        self._redis = RedisConnection(settings)
        self._wanted = None if sessions is None else tuple(sessions)
        self._tenant = tenant
        self._from_start = from_start
        self._poll_s = poll_s
        self._gather_s = gather_s
        self._cursors: dict[SessionKey, SessionCursor] = {}
        self._active_since_ms = active_since_ms
        self._tail = tail
        self._after = dict(after or {})
        self._newest_ms = 0
        self._nudged = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect. Raises `stream.sinks.problems.RedisUnusableError` when Redis cannot be used now; an outage after that is waited out."""
        try:
            await self._redis.once(lambda redis: redis.ping())
            await self._discover()
            if not self._from_start:
                for cursor in self._cursors.values():
                    async for _ in self._read([cursor]):
                        pass
        except BaseException:
            await self._close()
            raise
        self._listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Stop following."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        await self._close()

    async def held(self) -> AsyncGenerator[ReceivedRecord, None]:
        """The results that Redis holds now, then end. Call it before anything else.

        `ReceivedRecord.received_at_ms` is the last known activity of the session, if that is earlier than now.
        """
        for cursors in _batched(list(self._cursors.values()), AT_ONCE_AT_FIRST):
            async for received in self._read(cursors):
                record = received.record
                active_ms = self._cursors[SessionKey(record.tenant, record.session)].active_ms
                yield ReceivedRecord(record, min(received.received_at_ms, active_ms or received.received_at_ms))
        self._tail = None

    async def __aiter__(self) -> AsyncIterator[ReceivedRecord]:
        """Every new record; waits while there is none. After a loop was left, the next loop continues where it stopped."""
        while True:
            # Cleared before reading: a nudge that arrives while a session is being read leads to another round.
            self._nudged.clear()
            try:
                await self._discover()
                for cursors in _batched([c for c in self._cursors.values() if c.changed], AT_ONCE):
                    async for received in self._read(cursors):
                        yield received
            except GeneratorExit:
                # The loop was left in the middle of a page: the records that it did not take have to be read again.
                self._mark_all_changed()
                raise
            await self._wait_for_nudge()

    async def _wait_for_nudge(self) -> None:
        """Wait for a nudge or for the next poll."""
        try:
            async with asyncio.timeout(self._poll_s):
                await self._nudged.wait()
            if self._gather_s:
                await asyncio.sleep(self._gather_s)
        except TimeoutError:
            for cursor in self._cursors.values():
                cursor.changed |= self._wanted is not None or cursor.active_ms >= self._newest_ms - RECENT_MS

    def _mark_all_changed(self) -> None:
        for cursor in self._cursors.values():
            cursor.changed = True

    async def _discover(self) -> None:
        """Find active sessions; forget those whose results have expired."""
        if self._wanted is not None:
            for session in self._wanted:
                self._cursors.setdefault(session, SessionCursor(session))
            return
        since_ms = max(self._newest_ms - OVERLAP_MS, self._active_since_ms)
        active = await self._waiting_out(lambda redis: redis.zrangebyscore(SESSIONS, since_ms, "+inf", withscores=True))
        for member, active_ms in cast(list[tuple[str, float]], active):
            self._newest_ms = max(self._newest_ms, int(active_ms))
            if cursor := self._cursor(SessionKey.parse(member)):
                cursor.active_ms = int(active_ms)
        expired_ms = self._newest_ms - self._settings.result_ttl_s * 1000
        self._cursors = {session: c for session, c in self._cursors.items() if c.active_ms >= expired_ms}

    def _cursor(self, session: SessionKey) -> SessionCursor | None:
        """The session's cursor; None for a session that is not followed."""
        if self._wanted is None and self._tenant in (None, session.tenant):
            self._cursors.setdefault(session, SessionCursor(session, active_ms=self._newest_ms))
        return self._cursors.get(session)

    async def _read(self, cursors: list[SessionCursor]) -> AsyncIterator[ReceivedRecord]:
        """All new records of some sessions, one session after the other.

        Alerts come with the windows that raised them, the summary after those that it sums up.
        """
        while cursors:
            for cursor in cursors:
                cursor.changed = False
            known = [len(cursor.tracks) for cursor in cursors]
            fetched = await self._fetch(cursors)
            received_at_ms = round(time.time() * 1000)
            unfinished = []
            for cursor, tracks_before, (answers, alerts, summary) in zip(cursors, known, fetched, strict=True):
                cursor.take_alerts(alerts)
                for track, answer in answers.items():
                    for record in cursor.tracks[track].advance(answer, cursor.alerts.setdefault(track, {})):
                        yield ReceivedRecord(record, received_at_ms)
                if len(cursor.tracks) > tracks_before or len(alerts) == ALERTS_PAGE or any(answer.more for answer in answers.values()):
                    unfinished.append(cursor)
                elif summary is not None and summary != cursor.summary:
                    cursor.summary = summary
                    yield ReceivedRecord(summary, received_at_ms)
            cursors = unfinished

    async def _fetch(self, cursors: list[SessionCursor]) -> list[tuple[dict[str, TrackAnswer], list[Entry], Record | None]]:
        """Read a page of every known track, alerts and the summary of each session in one transaction: they are of one moment.

        Also finds new tracks.
        """
        raw = await self._waiting_out(lambda redis: _fetch_raw(redis, cursors))
        found = []
        for cursor, of_session in zip(cursors, raw, strict=True):
            answers = {track: _answer(*of_session[3 * index : 3 * index + 3]) for index, track in enumerate(sorted(cursor.tracks))}
            new = [TrackKey(cursor.session, track) for track in sorted(set(of_session[-1]) - cursor.tracks.keys())]
            for track_key, start in zip(new, await asyncio.gather(*map(self._start, new)), strict=True):
                cursor.tracks[track_key.track] = TrackCursor(start)
            found.append((answers, _entries(of_session[-3]), None if of_session[-2] is None else decode_record(of_session[-2])))
        return found

    async def _start(self, track: TrackKey) -> str:
        """The entry behind which reading of a new track begins."""
        if track in self._after or self._tail is None:
            return self._after.get(track, START)
        stream, count = track_names(track).scores, self._tail + 1
        newest = cast(list[tuple[str, Any]], await self._waiting_out(lambda redis: redis.xrevrange(stream, count=count)))
        return newest[-1][0] if len(newest) == count else START

    async def _listen(self) -> None:
        """Mark the sessions of nudges as changed. While there is no connection, the poll finds new results."""
        await wait_out(lambda _failures: self._follow_nudges(), is_outage=is_outage, backoff=BACKOFF)

    async def _follow_nudges(self) -> NoReturn:
        cancellation = CancellationGuard()
        redis = await self._redis.client()
        async with redis.pubsub(ignore_subscribe_messages=True) as channel:
            if self._wanted is None:
                await channel.psubscribe(NUDGES)
            else:
                await channel.subscribe(*(session_names(session).nudge for session in self._wanted))
            # Nudges that were sent before the subscription are lost: read every session once.
            self._mark_all_changed()
            self._nudged.set()
            while True:
                cancellation.check()
                message = await channel.get_message(timeout=5.0)
                if message is not None:
                    self._on_nudge(str(message["channel"]))

    async def _waiting_out(self, call: Callable[[RedisClient], Awaitable[Answer]]) -> Answer:
        """Repeat a call until Redis answers."""
        return await self._redis.waiting_out(lambda redis, _failures: call(redis), BACKOFF)

    def _on_nudge(self, channel: str) -> None:
        if cursor := self._cursor(session_of_nudge(channel)):
            cursor.changed = True
        self._nudged.set()

    async def _close(self) -> None:
        await self._redis.close()


async def _fetch_raw(redis: RedisClient, cursors: list[SessionCursor]) -> list[list[Any]]:
    """What Redis answers for each session. In a cluster sessions are on different nodes, so each is asked for by itself."""
    if isinstance(redis, RedisCluster) and len(cursors) > 1:
        return [of_session for cursor in cursors for of_session in await _fetch_raw(redis, [cursor])]
    async with redis.pipeline(transaction=True) as pipe:
        lengths = [_ask(pipe, cursor) for cursor in cursors]
        answers = iter(await pipe.execute())
    return [list(islice(answers, length)) for length in lengths]


def _ask(pipe: Any, cursor: SessionCursor) -> int:
    """Put the commands for one session into a pipeline; return their number.

    Commands by name: in a transaction on a cluster, redis-py fails on its own answers to ``pipe.hget`` and others.
    """
    tracks = sorted(cursor.tracks)
    for track in tracks:
        names = track_names(TrackKey(cursor.session, track))
        since = "(" + cursor.tracks[track].last_id
        pipe.execute_command("XRANGE", names.scores, since, "+", "COUNT", PAGE)
        pipe.execute_command("XRANGE", names.explanations, since, "+", "COUNT", PAGE)
        pipe.execute_command("HGET", names.partial, "record")
    of_session = session_names(cursor.session)
    pipe.execute_command("XRANGE", of_session.alerts, "(" + cursor.alerts_id, "+", "COUNT", ALERTS_PAGE)
    pipe.execute_command("HGET", of_session.summary, "record")
    pipe.execute_command("SMEMBERS", of_session.tracks)
    return 3 * len(tracks) + 3


def _batched(cursors: list[SessionCursor], most: int) -> Iterator[list[SessionCursor]]:
    """The cursors in groups that are read at once."""
    for first in range(0, len(cursors), most):
        yield cursors[first : first + most]


def _answer(scores: Any, explanations: Any, partial: str | None) -> TrackAnswer:
    return TrackAnswer(
        scores=_entries(scores),
        explanations=_entries(explanations),
        partial=None if partial is None else decode_record(partial),
        more=len(scores) == PAGE,
    )


def _entries(page: list[tuple[str, dict[str, str]]]) -> list[Entry]:
    return [(entry_id, decode_record(fields["record"])) for entry_id, fields in page]
