"""The events of a stream: of all sessions of a viewer's tenants, or of one session, which can be resumed at any gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from stream.config.service_settings import RedisSettings
from stream.domain.alert import AlertRecord
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, Record, ScoreRecord
from stream.gateway.broadcast import encode_session_batch
from stream.gateway.disclosure import Disclosed
from stream.gateway.hub import Hub
from stream.gateway.session_state import LiveSession
from stream.gateway.sse import FIRST, KEEP_ALIVE, event
from stream.gateway.ticks import Audience, Erased, News, SessionTick
from stream.gateway.views import Gap, Hello
from stream.sinks.problems import RedisUnusableError
from stream.sinks.reader import ReceivedRecord, ResultReader
from stream.sinks.result_pages import ResultPages, format_positions, parse_positions, position_of

KEEP_ALIVE_S = 10.0
LOOK_S = 1.0
"""A stream that has nothing to send looks this often whether it is stale, or has to end."""
REPLAYED = 100
"""Records in one batch of what a viewer has missed."""
START = "start"
"""The position before the first window."""
RETRY_S = 1.0


async def with_signs_of_life(
    hub: Hub, events: AsyncGenerator[bytes, None], still_allowed: Callable[[], bool]
) -> AsyncGenerator[bytes, None]:
    """Events, with comments in between where nothing comes, and with ``stale`` when Redis goes away and when it is back.

    They end when the gateway stops, and when the viewer is no longer allowed: who may still see them connects again.
    """
    yield FIRST
    told, spoke_s = hub.stale, time.monotonic()
    if told.since_ms is not None:
        yield event("stale", told)
    async with aclosing(events):
        coming = asyncio.ensure_future(anext(events, None))
        try:
            while not hub.ending.is_set() and still_allowed():
                await asyncio.wait((coming,), timeout=LOOK_S)
                if coming.done():
                    if (text := coming.result()) is None:
                        return
                    yield text
                    spoke_s = time.monotonic()
                    coming = asyncio.ensure_future(anext(events, None))
                elif hub.stale.since_ms != told.since_ms:
                    told, spoke_s = hub.stale, time.monotonic()
                    yield event("stale", told)
                elif time.monotonic() - spoke_s >= KEEP_ALIVE_S:
                    spoke_s = time.monotonic()
                    yield KEEP_ALIVE
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def all_sessions(hub: Hub, audience: Audience, last_event_id: str | None) -> AsyncGenerator[bytes, None]:
    """The events of all sessions of an audience.

    Args:
        hub: The hub.
        audience: Who watches.
        last_event_id: Where an earlier stream stopped; None for a new one.
    """
    with hub.broadcast.watch_all(audience) as viewer:
        number = hub.broadcast.number
        missed = None
        if last_event_id is not None:
            instance, _, text = last_event_id.partition("-")
            # At most 15 digits: a number that no gateway has given must not become a huge integer.
            if instance == hub.broadcast.instance and text.isascii() and text.isdecimal() and len(text) <= 15:
                missed = hub.broadcast.since(int(text), audience)
        yield event("hello", Hello(server_time_ms=hub.now_ms(), resumed=missed is not None), f"{hub.broadcast.instance}-{number}")
        if last_event_id is not None and missed is None:
            hub.metrics.gaps.labels("unknown_position").inc()
            yield event("gap", Gap(reason="unknown_position"))
        if missed is not None and missed.text is not None:
            yield missed.text
        while True:
            tick = await viewer.get()
            if isinstance(tick, Erased):
                yield event("gap", Gap(reason="erased"))
                continue
            if tick is None:
                tick = hub.broadcast.since(number, audience)
            if tick is None:
                number = hub.broadcast.number
                hub.metrics.gaps.labels("slow").inc()
                yield event("gap", Gap(reason="slow"), f"{hub.broadcast.instance}-{number}")
                continue
            number = tick.number
            if tick.text is not None:
                yield tick.text


class SessionStream:
    """The stream of one session.

    A viewer's position is the last final window of each track that they have. It means the same at every gateway, because it names
    entries of streams in Redis. What a viewer has missed is read from there; then the hub's batches follow, without those windows that
    were read already.

    Args:
        hub: The hub.
        pages: Reads stored results.
        settings: Where Redis is.
        key: The session.
        disclosed: What the viewer may see.
    """

    def __init__(self, hub: Hub, pages: ResultPages, settings: RedisSettings, key: SessionKey, disclosed: Disclosed) -> None:
        self._hub = hub
        self._pages = pages
        self._settings = settings
        self._key = key
        self._disclosed = disclosed
        self._positions: dict[str, str] = {}
        self._unlisted = LiveSession(key)
        """What was read of a session that the hub does not list."""

    async def events(self, position: str | None) -> AsyncGenerator[bytes, None]:
        """The events.

        Args:
            position: Where an earlier stream stopped, or `START`; None to begin with what is new from now on.
        """
        with self._hub.broadcast.watch(self._key, self._disclosed) as viewer:
            resumed, reason = await self._begin(position)
            yield event("hello", Hello(server_time_ms=self._hub.now_ms(), resumed=resumed), self._position)
            if reason:
                self._hub.metrics.gaps.labels(reason).inc()
                yield event("gap", Gap(reason=reason))
            behind = resumed or bool(reason)
            while True:
                if behind:
                    async with aclosing(self._missed()) as missed:
                        async for text in missed:
                            yield text
                tick = await viewer.get()
                behind = tick is None
                if isinstance(tick, Erased):
                    self._positions.clear()
                    yield event("gap", Gap(reason="erased"), self._position)
                elif tick is not None:
                    yield self._event(tick)

    @property
    def _position(self) -> str:
        return format_positions(self._positions) or START

    async def _begin(self, position: str | None) -> tuple[bool, str]:
        """Find the position to begin at. Returns whether it is the one that was asked for and kept, and else the reason of a gap."""
        wanted: dict[str, str] | None = None
        reason = ""
        if position is not None:
            try:
                wanted = {} if position == START else parse_positions(position)
            except ValueError:
                reason = "unknown_position"
        while True:
            try:
                if wanted is None:
                    self._positions = await self._pages.newest(self._key)
                    return False, reason
                self._positions = wanted
                kept = await self._pages.keeps(self._key, wanted)
                return kept, "" if kept else "expired"
            except RedisUnusableError:
                await asyncio.sleep(RETRY_S)

    async def _missed(self) -> AsyncGenerator[bytes, None]:
        """Batches of what Redis holds behind the position."""
        while True:
            after = {TrackKey(self._key, track): entry for track, entry in self._positions.items()}
            try:
                async with (
                    ResultReader(self._settings, [self._key], after=after) as reader,
                    aclosing(_in_parts(reader.held())) as parts,
                ):
                    async for records in parts:
                        yield self._replayed(records)
                return
            except RedisUnusableError:
                await asyncio.sleep(RETRY_S)

    def _replayed(self, records: Sequence[Record]) -> bytes:
        news = News()
        for record in records:
            news.add(record)
        at_ms = self._hub.now_ms()
        session = self._hub.session(self._key)
        if session is None:
            session = self._unlisted
            for record in records:
                session.add(record, at_ms)
        self._advance(news)
        data = encode_session_batch(at_ms, self._hub.state(session, self._disclosed), news, self._disclosed)
        return event("batch", data, self._position)

    def _event(self, tick: SessionTick) -> bytes:
        known = [score for score in tick.news.scores if not self._is_new(score)]
        if not known:
            self._advance(tick.news)
            return event("batch", tick.data, self._position)
        ids = {score.window_id for score in known}
        news = News(
            scores=[score for score in tick.news.scores if score.window_id not in ids],
            explanations=[record for record in tick.news.explanations if record.window_id not in ids],
            alerts=[alert for alert in tick.news.alerts if alert.window_id not in ids],
            partials=tick.news.partials,
            summaries=tick.news.summaries,
        )
        self._advance(news)
        return event("batch", encode_session_batch(tick.at_ms, tick.state, news, self._disclosed), self._position)

    def _is_new(self, score: ScoreRecord) -> bool:
        epoch, _, end_ms = self._positions.get(score.track, "-1-0").rpartition("-")
        return (score.epoch, score.end_ms) > (int(epoch), int(end_ms))

    def _advance(self, news: News) -> None:
        for score in news.scores:
            if self._is_new(score):
                self._positions[score.track] = position_of(score)


async def _in_parts(records: AsyncGenerator[ReceivedRecord, None]) -> AsyncGenerator[list[Record], None]:
    """Records in lists of about `REPLAYED`. A window's explanation and alerts stay with its score: a position behind it skips them."""
    part: list[Record] = []
    async with aclosing(records):
        async for received in records:
            if len(part) >= REPLAYED and not isinstance(received.record, ExplanationRecord | AlertRecord):
                yield part
                part = []
            part.append(received.record)
    if part:
        yield part
