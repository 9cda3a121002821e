"""Erases a session everywhere it is kept, and reads everything again to show that nothing is left.

Redis and the local store of windows are erased. A Kafka topic cannot be erased by key: the erasure is noted in the topic ``erasures``, so
that no worker takes up what is left and `sentistream rebuild` does not bring it back, and the records run out with their retention.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from stream.config.settings import Settings
from stream.domain.identity import SessionKey
from stream.domain.session_events import SessionEnd
from stream.kafka_admin.erasures import Erasure, LeftInTopic, left_in_topics, note_erasure, send_event
from stream.sinks.alert_queue import AlertQueue
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import PREFIX, SESSIONS, queue_names, session_names, webhook_names
from stream.sinks.redis_sink import RedisSink
from stream.sinks.webhook_outbox import WebhookOutbox
from stream.sinks.window_store import WindowStore

ROUNDS = 5
"""How often Redis is searched again for what a worker has written meanwhile."""

END_WAIT_S = 60.0
"""Longest time to wait until workers have ended a session."""

END_POLL_S = 0.2
DELETED_AT_ONCE = 200


class ForgetError(Exception):
    """The session was not erased; the message says what to do."""


class RunningSessionError(ForgetError):
    """The session is running."""


class Erased(msgspec.Struct, frozen=True):
    """What was found of a session in one place, and what a second look found there."""

    found: int
    left: int


class ForgetReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="forgotten"):
    """What was erased of a session.

    Attributes:
        tenant: The session's tenant.
        session: The session.
        at_ms: When (Unix ms).
        keys: Keys in Redis: results, states, contributions to later windows, alerts, partial results.
        cases: Cases of the moderation queue.
        messages: Messages of webhooks that wait or were given up.
        windows: Windows of this machine's store; None if `explanations.store` names none.
        overwritten: Whether the store's deleted rows are overwritten in its log, too.
        topics: Records that are left in Kafka, and until when; None if they were not counted.
    """

    tenant: str
    session: str
    at_ms: int
    keys: Erased
    cases: Erased
    messages: Erased
    windows: Erased | None = None
    overwritten: bool = True
    topics: tuple[LeftInTopic, ...] | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is left where sentistream can erase."""
        places = (self.keys, self.cases, self.messages, *([] if self.windows is None else [self.windows]))
        return self.overwritten and not any(place.left for place in places)


class Forgetting:
    """Erases sessions.

    Args:
        settings: Where everything is.
        redis: A connection to Redis.
    """

    def __init__(self, settings: Settings, redis: RedisConnection) -> None:
        self._settings = settings
        self._redis = redis
        self._queue = AlertQueue(settings.redis, redis)

    async def forget(
        self, session: SessionKey, *, end: bool = False, count_topics: bool = True, on_step: Callable[[str], None] = lambda _step: None
    ) -> ForgetReport:
        """Erase a session, in this order.

        1. See that it is not running, or end it.
        2. Note the erasure in Kafka, then in Redis: from now on workers drop its records.
        3. Erase it in Redis, in the moderation queue and in the local store.
        4. Read all of these again, and count what is left in Kafka.

        Args:
            session: The session.
            end: End it first if it is running.
            count_topics: Whether to read the topics.
            on_step: Called with the name of each step that takes a while.

        Raises:
            RunningSessionError: It is running.
            ForgetError: It was not ended in time.
            BrokerError: Kafka is away: without the note, a rebuild would bring the session back.
            RedisUnusableError: Redis is away.
            WindowStoreError: The local store cannot be used.
        """
        # 1.
        await self._see_that_it_has_ended(session, end=end, on_step=on_step)
        # 2.
        erasure = Erasure(tenant=session.tenant, session=session.session, at_ms=time.time_ns() // 1_000_000)
        await asyncio.to_thread(note_erasure, self._settings.kafka, erasure)
        found_keys = len(await self._keys(session))
        sink = RedisSink(self._settings.redis)
        try:
            await sink.mark_erased(session, erasure.at_ms)
        finally:
            await sink.close()
        # 3.
        on_step("erasing")
        await self._erase_keys(session)
        found_cases = await self._queue.forget(session)
        found_messages = await self._erase_messages(session)
        windows, overwritten = await asyncio.to_thread(self._erase_windows, session)
        # 4.
        keys = Erased(found_keys, len(await self._keys(session)) + await self._is_listed(session))
        cases = Erased(found_cases, await self._cases(session))
        messages = Erased(found_messages, await self._erase_messages(session))
        topics = None
        if count_topics:
            on_step("reading the topics")
            topics = tuple(await asyncio.to_thread(left_in_topics, self._settings.kafka, session))
        return ForgetReport(
            tenant=session.tenant,
            session=session.session,
            at_ms=erasure.at_ms,
            keys=keys,
            cases=cases,
            messages=messages,
            windows=windows,
            overwritten=overwritten,
            topics=topics,
        )

    async def _see_that_it_has_ended(self, session: SessionKey, *, end: bool, on_step: Callable[[str], None]) -> None:
        running = await self._running_epoch(session)
        if running is None:
            return
        if not end:
            raise RunningSessionError(f"{session} is running: end it first, or let it be ended (--end)")
        on_step("ending the session")
        await asyncio.to_thread(send_event, self._settings.kafka, session, SessionEnd(*running))
        deadline = time.monotonic() + END_WAIT_S
        while await self._running_epoch(session) is not None:
            if time.monotonic() > deadline:
                raise ForgetError(f"no worker has ended {session} within {END_WAIT_S:g} s: see that workers run, and try again")
            await asyncio.sleep(END_POLL_S)

    async def _running_epoch(self, session: SessionKey) -> tuple[int, int] | None:
        """Declared epoch of the newest media clock of a running session, and the end of its last final window; None if none runs.

        A session has ended with the summary of its newest epoch, or if workers have closed it because nothing came any more.
        """
        names = session_names(session)
        active_at = await self._redis.once(lambda redis: redis.zscore(SESSIONS, str(session)))
        quiet_ms = time.time() * 1000 - float(active_at or 0)
        if active_at is None or quiet_ms > self._settings.windows.expire_after_ms:
            return None
        state = {str(k): str(v) for k, v in (await self._redis.once(lambda redis: redis.hgetall(names.state))).items()}
        summarised = await self._redis.once(lambda redis: redis.hget(names.summary, "epoch"))
        finals = [tuple(map(int, value.split("-")[:2])) for field, value in state.items() if field.startswith("last:")]
        epoch, end_ms = max(finals, default=(0, 0))
        if summarised is not None and int(summarised) >= epoch:
            return None
        assignment = state.get(f"epoch:{epoch}")
        return (epoch if assignment is None else int(assignment.partition(":")[0])), end_ms

    async def _erase_keys(self, session: SessionKey) -> None:
        for _ in range(ROUNDS):
            keys = await self._keys(session)
            for start in range(0, len(keys), DELETED_AT_ONCE):
                some = keys[start : start + DELETED_AT_ONCE]
                await self._redis.once(lambda redis, some=some: redis.unlink(*some))  # type: ignore[misc]
            await self._redis.once(lambda redis: redis.zrem(SESSIONS, str(session)))
            if not keys:
                return

    async def _keys(self, session: SessionKey) -> list[str]:
        """All keys of a session in Redis, except the note that it was erased."""
        names = session_names(session)

        async def call(redis: RedisClient) -> list[str]:
            found = [str(key) async for key in redis.scan_iter(match=f"{PREFIX}:{{{session}}}:*", count=1000)]
            erased = await redis.hexists(names.state, "erased")
            return sorted(key for key in set(found) if key != names.state or not erased)

        return await self._redis.once(call)

    async def _erase_messages(self, session: SessionKey) -> int:
        """Erase the messages of webhooks, of whichever receiver. Returns how many there were."""
        outbox, pattern = WebhookOutbox(self._redis), webhook_names("*").messages

        async def call(redis: RedisClient) -> list[str]:
            return [str(key) async for key in redis.scan_iter(match=pattern, count=1000)]

        before, after = pattern.split("*")
        receivers = [key.removeprefix(before).removesuffix(after) for key in await self._redis.once(call)]
        await outbox.forget_positions([str(session)])
        return sum([await outbox.erase(receiver, session) for receiver in receivers])

    async def _is_listed(self, session: SessionKey) -> int:
        return int(await self._redis.once(lambda redis: redis.zscore(SESSIONS, str(session))) is not None)

    async def _cases(self, session: SessionKey) -> int:
        ids = await self._redis.once(lambda redis: redis.hkeys(queue_names(session.tenant).alerts))
        return sum(str(case).startswith(f"{session}/") for case in ids)

    def _erase_windows(self, session: SessionKey) -> tuple[Erased | None, bool]:
        settings = self._settings.explanations
        if settings.store is None or not settings.store.exists():
            return None, True
        store = WindowStore(settings.store, retention_hours=settings.retention_hours, max_mb=settings.store_max_mb, create=False)
        try:
            forgotten = store.forget(session)
        finally:
            store.close()
        return Erased(forgotten.deleted, forgotten.left), forgotten.overwritten
