"""The messages of webhooks in Redis: those that wait, those that are given up, and up to where results have become messages.

One gateway at a time works on them: it holds a lease. What it writes about a session is one atomic step with the lease in it, so a gateway
that has lost the lease adds nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, cast

import msgspec

from stream.domain.identity import SessionKey
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import WEBHOOK_LEASE, WEBHOOK_POSITIONS, WebhookNames, webhook_names
from stream.sinks.scripts import Argument
from stream.sinks.webhook_scripts import ADVANCE, ERASE, LEASE, PRUNE, RELEASE, REPLAY, SETTLE

LEASE_MS = 15_000
MOST_WAITING = 10_000
"""Messages of one receiver that wait. Further ones become dead letters."""
MOST_DEAD = 10_000
PAGE = 200
BEGUN = "*"
"""Field of the positions that is there once results are followed."""


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message.

    Attributes:
        session: The session that it is about.
        kind: ``alert.raised``, ``alert.cleared``, ``window.final`` or ``session.ended``.
        created_ms: When it was made (Unix ms).
        attempts: How often it was sent.
        error: What went wrong last; empty if nothing did.
        reason: Why it is a dead letter: ``expired``, ``gone``, ``full`` or ``replaced``.
        body: What is sent: JSON.
    """

    session: str
    kind: str
    created_ms: int
    attempts: int = 0
    error: str = ""
    reason: str = ""
    body: str


class WebhookCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How a receiver stands. Times are Unix ms; None for never.

    Attributes:
        waiting: Messages to send.
        dead: Dead letters.
        delivered: Messages that it has taken.
        dropped: Dead letters that were deleted because of their number or age.
        oldest_ms: When the message that is due first is tried.
        gone_ms: When it said that it is gone (410).
        last_ok_ms: When it last took a message.
        last_error: What went wrong last.
        last_error_ms: When.
    """

    waiting: int
    dead: int
    delivered: int = 0
    dropped: int = 0
    oldest_ms: int | None = None
    gone_ms: int | None = None
    last_ok_ms: int | None = None
    last_error: str = ""
    last_error_ms: int | None = None


class WebhookOutbox:
    """Every call is tried once; all raise `stream.sinks.problems.RedisUnusableError`.

    Args:
        redis: The connection. Whoever made it closes it.
        caller: Unique name of this process, for the lease.
    """

    def __init__(self, redis: RedisConnection, caller: str = "") -> None:
        self._redis = redis
        self._caller = caller

    # The lease.

    async def hold(self) -> bool:
        """Take or renew the lease; False if another gateway has it."""
        return bool(await self._redis.once(lambda redis: LEASE.run(redis, [WEBHOOK_LEASE], [self._caller, LEASE_MS])))

    async def release(self) -> None:
        """Give the lease back."""
        await self._redis.once(lambda redis: RELEASE.run(redis, [WEBHOOK_LEASE], [self._caller]))

    # From results to messages.

    async def positions(self) -> dict[str, str]:
        """By session, the position up to which results are messages. Empty before results were followed for the first time."""
        return cast(dict[str, str], await self._redis.once(lambda redis: redis.hgetall(WEBHOOK_POSITIONS)))

    async def advance(self, session: str, position: str, messages: Sequence[tuple[str, str, StoredMessage]], now_ms: int) -> bool:
        """Add messages (receiver, id, message) and move the session's position in one step. False if the lease is lost."""
        keys, args = [WEBHOOK_LEASE, WEBHOOK_POSITIONS], list[Argument]([self._caller, session, position, now_ms, MOST_WAITING])
        for receiver, message_id, message in messages:
            names = webhook_names(receiver)
            keys += [names.due, names.dead, names.messages, names.state]
            args += [message_id, msgspec.json.encode(message)]
        return bool(await self._redis.once(lambda redis: ADVANCE.run(redis, keys, args)))

    async def forget_positions(self, sessions: Iterable[str]) -> None:
        """Forget sessions whose results have expired."""
        gone = list(sessions)
        if gone:
            await self._redis.once(lambda redis: redis.hdel(WEBHOOK_POSITIONS, *gone))

    # Sending.

    async def due(self, receiver: str, now_ms: int, most: int) -> list[tuple[str, StoredMessage]]:
        """Messages that are to be sent now, the one that is due longest first."""
        names = webhook_names(receiver)
        ids = await self._redis.once(lambda redis: redis.zrangebyscore(names.due, "-inf", now_ms, start=0, num=most))
        return await self._read(names, [str(message_id) for message_id in ids])

    async def settle(self, receiver: str, message_id: str, outcome: str, message: StoredMessage, *, now_ms: int, next_ms: int = 0) -> None:
        """Write down what came of a message: ``delivered``, ``later``, ``dead``, or ``gone``, which ends its receiver's messages."""
        names = webhook_names(receiver)
        args: list[Argument] = [message_id, outcome, msgspec.json.encode(message), next_ms, now_ms, message.error]
        keys = [names.due, names.dead, names.messages, names.state]
        await self._redis.once(lambda redis: SETTLE.run(redis, keys, args))

    async def bury(self, receiver: str, now_ms: int, reason: str) -> int:
        """Make all waiting messages dead letters."""
        buried = 0
        while page := await self.due(receiver, 2**53, PAGE):
            for message_id, message in page:
                await self.settle(receiver, message_id, "dead", msgspec.structs.replace(message, reason=reason), now_ms=now_ms)
            buried += len(page)
        return buried

    async def prune(self, receiver: str, before_ms: int) -> None:
        """Delete dead letters that are too old or too many."""
        names = webhook_names(receiver)
        args: list[Argument] = [before_ms, MOST_DEAD, PAGE]
        while await self._redis.once(lambda redis: PRUNE.run(redis, [names.dead, names.messages, names.state], args)):
            pass

    # For people.

    async def counts(self, receiver: str) -> WebhookCounts:
        """How a receiver stands."""
        names = webhook_names(receiver)

        async def read(redis: RedisClient) -> list[Any]:
            async with redis.pipeline(transaction=False) as pipe:
                pipe.zcard(names.due)
                pipe.zcard(names.dead)
                pipe.zrange(names.due, 0, 0, withscores=True)
                pipe.hgetall(names.state)
                return list(await pipe.execute())

        waiting, dead, first, state = await self._redis.once(read)
        oldest_ms = int(first[0][1]) if first else None
        return msgspec.convert({"waiting": waiting, "dead": dead, "oldest_ms": oldest_ms, **state}, WebhookCounts, strict=False)

    async def dead(self, receiver: str) -> AsyncIterator[tuple[str, StoredMessage]]:
        """The dead letters, oldest first."""
        names, first = webhook_names(receiver), 0
        while ids := await self._redis.once(lambda redis, at=first: redis.zrange(names.dead, at, at + PAGE - 1)):  # type: ignore[misc]
            for found in await self._read(names, [str(message_id) for message_id in ids]):
                yield found
            first += len(ids)

    async def replay(self, receiver: str, ids: Sequence[str], now_ms: int) -> int:
        """Send dead letters again: they wait as if they were new. Returns how many."""
        names, again = webhook_names(receiver), 0
        keys = [names.due, names.dead, names.messages, names.state]
        for first in range(0, max(len(ids), 1), PAGE):
            args: list[Argument] = [now_ms]
            for message_id, message in await self._read(names, ids[first : first + PAGE]):
                fresh = msgspec.structs.replace(message, attempts=0, error="", reason="", created_ms=now_ms)
                args += [message_id, msgspec.json.encode(fresh)]
            again += int(await self._redis.once(lambda redis, a=args: REPLAY.run(redis, keys, a)))  # type: ignore[misc]
        return again

    async def erase(self, receiver: str, session: SessionKey) -> int:
        """Delete every message about a session. Returns how many."""
        names, erased, cursor = webhook_names(receiver), 0, 0
        while True:
            cursor, page = await self._redis.once(lambda redis, at=cursor: redis.hscan(names.messages, at, count=PAGE))  # type: ignore[misc]
            ids: list[Argument] = [i for i, text in page.items() if (m := _message(text)) is not None and m.session == str(session)]
            if ids:
                await self._redis.once(lambda redis, a=ids: ERASE.run(redis, [names.due, names.dead, names.messages], a))  # type: ignore[misc]
            erased += len(ids)
            if not int(cursor):
                return erased

    async def _read(self, names: WebhookNames, ids: Sequence[str]) -> list[tuple[str, StoredMessage]]:
        if not ids:
            return []
        texts = await self._redis.once(lambda redis: redis.hmget(names.messages, list(ids)))
        return [(message_id, m) for message_id, text in zip(ids, texts, strict=True) if (m := _message(text)) is not None]


def _message(text: Any) -> StoredMessage | None:
    try:
        return msgspec.json.decode(text, type=StoredMessage)
    except (msgspec.MsgspecError, TypeError):
        return None
