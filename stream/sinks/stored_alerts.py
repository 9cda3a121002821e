"""Reads the alerts that Redis holds, of all sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import msgspec

from stream.domain.alert import AlertRecord
from stream.domain.identity import SessionKey
from stream.domain.result import decode_record
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import SESSIONS, session_names

SESSIONS_AT_ONCE = 100
"""Sessions that are read in one round trip."""
PAGE = 200


async def stored_alerts(redis: RedisConnection, since_ms: int) -> AsyncIterator[list[AlertRecord]]:
    """The alerts of all sessions with a result since then (Unix ms), page after page; of one session in the order of their windows.

    Each call is tried once; raises `stream.sinks.problems.RedisUnusableError`. An alert of another release that cannot be read is left out.
    """
    names = await redis.once(lambda client: client.zrangebyscore(SESSIONS, since_ms, "+inf"))
    sessions = [SessionKey.parse(str(name)) for name in names]
    for first in range(0, len(sessions), SESSIONS_AT_ONCE):
        after = dict.fromkeys(sessions[first : first + SESSIONS_AT_ONCE], "-")
        while after:
            pages = await _pages(redis, after)
            alerts = [alert for page in pages for _, fields in page if (alert := _alert(fields.get("record", ""))) is not None]
            if alerts:
                yield alerts
            after = {session: f"({page[-1][0]}" for session, page in zip(after, pages, strict=True) if len(page) == PAGE}


async def _pages(redis: RedisConnection, after: dict[SessionKey, str]) -> Sequence[list[tuple[str, dict[str, str]]]]:
    async def read(client: RedisClient) -> list[Any]:
        async with client.pipeline(transaction=False) as pipe:
            for session, entry in after.items():
                pipe.xrange(session_names(session).alerts, entry, "+", count=PAGE)
            return list(await pipe.execute())

    return cast(Sequence[list[tuple[str, dict[str, str]]]], await redis.once(read))


def _alert(text: str) -> AlertRecord | None:
    try:
        record = decode_record(text)
    except msgspec.MsgspecError:
        return None
    return record if isinstance(record, AlertRecord) else None
