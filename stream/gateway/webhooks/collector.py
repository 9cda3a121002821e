"""Makes messages of new results in Redis, each once, also across restarts and gateways.

The position of each session is stored together with the messages that were made of its results. So a gateway that takes over continues
exactly where the one before stopped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from stream.config.service_settings import RedisSettings
from stream.domain.alert import AlertRecord
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, Record, ScoreRecord, SessionRecord, decode_record
from stream.gateway.views import WindowResult
from stream.gateway.webhooks.messages import News, Outgoing, messages_for
from stream.gateway.webhooks.receivers import Receiver
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import SESSIONS, session_names, track_names
from stream.sinks.webhook_outbox import BEGUN, WebhookOutbox

PAGE = 100
ACTIVE_MS = 60_000
"""Sessions are looked at for this long after their last mark of activity. Marks are 10 s apart, and workers' clocks differ."""
ALL_EVERY_S = 60.0
"""Now and then, every session is looked at."""

Entries = Sequence[tuple[str, dict[str, str]]]


class Position(msgspec.Struct, kw_only=True):
    """Up to where results of a session have become messages.

    Attributes:
        alerts: Id of the last alert in its stream.
        tracks: By track, the last final window (``EPOCH-END``).
        summary: Epoch and number of windows of the last summary.
    """

    alerts: str = "0-0"
    tracks: dict[str, str] = {}
    summary: str = ""


class LeaseLostError(Exception):
    """Another gateway works on the messages now."""


class Collector:
    """Reads what is new.

    Args:
        redis: The connection.
        settings: How long results live.
        outbox: Takes the messages.
    """

    def __init__(self, redis: RedisConnection, settings: RedisSettings, outbox: WebhookOutbox) -> None:
        self._redis = redis
        self._kept_ms = settings.result_ttl_s * 1000
        self._outbox = outbox
        self._positions: dict[str, Position] = {}
        self._newest_ms = 0
        self._all_at = float("-inf")

    async def load(self) -> None:
        """Continue from the stored positions. The very first time, what is in Redis already is passed over.

        Raises:
            LeaseLostError: Another gateway works on the messages.
            stream.sinks.problems.RedisUnusableError: Redis cannot be used now.
        """
        stored = await self._outbox.positions()
        self._positions = {session: msgspec.json.decode(text, type=Position) for session, text in stored.items() if session != BEGUN}
        self._newest_ms, self._all_at = 0, float("-inf")
        if BEGUN not in stored:
            await self.collect(())
            await self._advance(BEGUN, "", ())

    async def collect(self, receivers: Sequence[Receiver]) -> int:
        """Make messages of all new results. Returns how many. Raises as `load`."""
        made = 0
        for session in await self._changed():
            key, more = SessionKey.parse(session), True
            while more:
                position = msgspec.structs.replace(p) if (p := self._positions.get(session)) else Position()
                position.tracks = dict(position.tracks)
                news, more = await self._read(key, position)
                if position == self._positions.get(session):
                    break
                now_ms = round(time.time() * 1000)
                messages = [message for each in news for message in messages_for(receivers, each, now_ms)]
                await self._advance(session, msgspec.json.encode(position).decode(), messages)
                self._positions[session] = position
                made += len(messages)
        return made

    async def _advance(self, session: str, position: str, messages: Sequence[Outgoing]) -> None:
        if not await self._outbox.advance(session, position, messages, round(time.time() * 1000)):
            raise LeaseLostError

    async def _changed(self) -> list[str]:
        """Sessions that may have new results; every session if it is time to look at all of them."""
        everything = time.monotonic() - self._all_at >= ALL_EVERY_S
        since_ms = "-inf" if everything else str(self._newest_ms - ACTIVE_MS)
        active = cast(
            list[tuple[str, float]],
            await self._redis.once(lambda redis: redis.zrangebyscore(SESSIONS, since_ms, "+inf", withscores=True)),
        )
        self._newest_ms = max([self._newest_ms, *(int(at) for _, at in active)])
        if everything:
            self._all_at = time.monotonic()
            gone = self._positions.keys() - {session for session, _ in active}
            await self._outbox.forget_positions(gone)
            for session in gone:
                del self._positions[session]
        return [session for session, _ in active]

    async def _read(self, session: SessionKey, position: Position) -> tuple[list[News], bool]:
        """New results of a session, and whether there are more; `position` is moved behind them."""
        tracks = sorted(map(str, await self._redis.once(lambda redis: redis.smembers(session_names(session).tracks))))
        raw = await self._redis.once(lambda redis: _fetch(redis, session, tracks, position))
        news: list[News] = []
        more = False
        for number, track in enumerate(tracks):
            scores, explanations = cast(Entries, raw[2 * number]), dict(cast(Entries, raw[2 * number + 1]))
            for entry, fields in scores:
                position.tracks[track] = entry
                news.extend(_window(fields, explanations.get(entry)))
            more = more or len(scores) == PAGE
        alerts, summary = cast(Entries, raw[-2]), cast(str | None, raw[-1])
        for entry, fields in alerts:
            position.alerts = entry
            news.extend(record for record in _decoded(fields) if isinstance(record, AlertRecord))
        for record in _decoded({"record": summary} if summary else {}):
            if isinstance(record, SessionRecord) and (mark := f"{record.epoch}:{record.windows}") != position.summary:
                position.summary = mark
                news.append(record)
        return news, more or len(alerts) == PAGE


async def _fetch(redis: RedisClient, session: SessionKey, tracks: Sequence[str], position: Position) -> list[Any]:
    """One transaction, so that an explanation is there if its score is."""
    names = session_names(session)
    async with redis.pipeline(transaction=True) as pipe:
        for track in tracks:
            of_track, after = track_names(TrackKey(session, track)), "(" + position.tracks.get(track, "0-0")
            pipe.execute_command("XRANGE", of_track.scores, after, "+", "COUNT", PAGE)
            pipe.execute_command("XRANGE", of_track.explanations, after, "+", "COUNT", PAGE)
        pipe.execute_command("XRANGE", names.alerts, "(" + position.alerts, "+", "COUNT", PAGE)
        pipe.execute_command("HGET", names.summary, "record")
        return list(await pipe.execute())


def _window(score: Mapping[str, str], explanation: Mapping[str, str] | None) -> Iterator[WindowResult]:
    found = next(_decoded(score), None)
    why = next(_decoded(explanation or {}), None)
    if isinstance(found, ScoreRecord):
        yield WindowResult(score=found, explanation=why if isinstance(why, ExplanationRecord) else None)


def _decoded(fields: Mapping[str, str]) -> Iterator[Record]:
    """The record; nothing for one of another release that cannot be read."""
    try:
        if "record" in fields:
            yield decode_record(fields["record"])
    except msgspec.MsgspecError:
        return
