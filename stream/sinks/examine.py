"""Examines Redis before it is used: does it answer, is it the right server, may the user do what is needed, and what is risky?"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from redis.asyncio import RedisCluster
from redis.exceptions import ReadOnlyError, RedisError

from stream.aio.probes import redis_answers
from stream.aio.protocols import SERVERS, Listener, identify
from stream.config.service_settings import RedisSettings
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.service_problem import ServiceProblem
from stream.sinks.connection import RedisClient, RedisConnection, greet
from stream.sinks.keys import FENCE, NUDGES, PROBED, SESSIONS, session_names, track_names
from stream.sinks.problems import OLDEST, Diagnosis, RedisProblem, RedisUnusableError, Remedy, diagnosis
from stream.sinks.scripts import PROBE

READ = TrackKey(SessionKey("sentistream", "probe"), "probe")
"""A track from which is read to see whether the user may. It need not exist."""

SUBSCRIBED_S = 1.0
"""Longest wait for the confirmation of a subscription. A healthy server answers in milliseconds."""

LONGEST_S = 5.0
"""Longest wait for one answer before a worker begins, whatever its setting is."""

FAILOVER_S = 10.0
"""A read-only replica is one for good after this time: during a failover the old primary is one until clients have found the new one."""

TRY_EVERY_S = 10.0
"""Time between two tries to write, by a worker whose Redis answers: its own windows may be far apart."""

REPLICA = ("replica", "slave")


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found.

    Attributes:
        address: Where Redis is, without user and password.
        mode: ``standalone`` or ``cluster``; empty if it does not answer.
        problem: Why it cannot be used; None if it can.
        risks: What works now and may lose data or be abused.
    """

    address: str
    mode: str = ""
    problem: Diagnosis | None = None
    risks: tuple[ServiceProblem, ...] = ()


async def examine(settings: RedisSettings, *, writes: bool) -> Examination:
    """Try everything that is needed. What is written goes to keys of no session, and is removed again.

    Args:
        settings: Where Redis is.
        writes: Whether results are to be written. To read them, a replica will do.
    """
    redis = RedisConnection(settings)
    address = str(redis.address)
    try:
        problem = await _first_problem(redis, writes=writes)
        risks = () if problem else tuple([risk async for risk in _risks(redis)])
    finally:
        await redis.close()
    return Examination(address, str(redis.hello.get("mode", "")), problem, risks)


async def examine_until_failed_over(settings: RedisSettings) -> Examination:
    """As `examine` for a writer, but a read-only replica is given the time of a failover to become the primary."""
    limited = settings.model_copy(update={"timeout_s": min(settings.timeout_s, LONGEST_S)})
    try:
        async with asyncio.timeout(FAILOVER_S):
            while True:
                found = await examine(limited, writes=True)
                if found.problem is None or found.problem.problem is not RedisProblem.READ_ONLY:
                    return found
                await asyncio.sleep(1.0)
    except TimeoutError:
        return await examine(limited, writes=True)


async def _first_problem(redis: RedisConnection, *, writes: bool) -> Diagnosis | None:
    try:
        await redis.once(lambda client: client.ping())
        if _older(str(redis.hello.get("version", OLDEST)), OLDEST):
            return diagnosis(RedisProblem.TOO_OLD)
        if writes and redis.hello.get("role") in REPLICA and redis.hello.get("mode") != "cluster":
            return diagnosis(RedisProblem.READ_ONLY)
        await redis.once(_try_reading)
        if writes:
            await redis.once(_try_writing)
    except RedisUnusableError as error:
        return await _closer(error.diagnosis, redis)
    except RedisError as error:
        return diagnosis(RedisProblem.UNEXPECTED, type(error).__name__)
    return None


async def _try_reading(redis: RedisClient) -> None:
    """Call every command that readers use."""
    session, track = session_names(READ.session), track_names(READ)
    await redis.zrangebyscore(SESSIONS, 1, 1)
    async with redis.pipeline(transaction=True) as pipe:
        pipe.execute_command("XRANGE", track.scores, "-", "+", "COUNT", 1)
        pipe.execute_command("HGET", track.partial, "record")
        pipe.execute_command("SMEMBERS", session.tracks)
        await pipe.execute()
    async with redis.pubsub() as channel:
        await channel.psubscribe(NUDGES)
        await channel.get_message(timeout=SUBSCRIBED_S)


async def _try_writing(redis: RedisClient) -> None:
    """Call every command that workers use beside those of readers."""
    await redis.zadd(SESSIONS, {str(READ.session): 1}, xx=True)
    await redis.zremrangebyscore(SESSIONS, 1, 1)
    await redis.exists(FENCE)
    await PROBE.run(redis, PROBED, [session_names(READ.session).nudge])


class RedisHealth:
    """Says whether a connection that is in use can be used now.

    Args:
        redis: The connection.
        clock: Seconds that only rise.
    """

    def __init__(self, redis: RedisConnection, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._clock = clock
        self._read_only_since: float | None = None
        self._tried_at = float("-inf")

    async def problem(self) -> ServiceProblem | None:
        """Why Redis cannot be used now: a call waits, it does not answer, or it does not take writes. None if it can be used."""
        found = self._redis.trouble
        if found is None or found.problem.remedy is Remedy.WAIT:
            found = await self._answer() or found
        self._read_only_since = (self._read_only_since or self._clock()) if found and found.problem is RedisProblem.READ_ONLY else None
        if found is None:
            return None
        lasting = found.problem.remedy is Remedy.SETTING
        if self._read_only_since is not None:
            lasting = self._clock() - self._read_only_since >= FAILOVER_S
        return found.as_problem(str(self._redis.address), lasting=lasting)

    async def _answer(self) -> Diagnosis | None:
        """Why it does not answer as it should, or None.

        With HELLO it says whether it is a replica; a cluster's client finds the primaries. Writing is tried from time to time only, until
        it fails: what makes writes fail shall be known before a window has to wait.
        """
        try:
            await self._twice(_greet)
            if self._clock() - self._tried_at >= TRY_EVERY_S:
                await self._twice(_try_writing)
                self._tried_at = self._clock()
        except RedisUnusableError as error:
            self._tried_at = float("-inf")
            return await _closer(error.diagnosis, self._redis)
        return None

    async def _twice(self, call: Callable[[RedisClient], Awaitable[None]]) -> None:
        """Try a call again if the first one found its connection cut: the next one makes a new connection."""
        try:
            await self._redis.once(call)
        except RedisUnusableError as error:
            if error.diagnosis.problem not in (RedisProblem.AWAY, RedisProblem.NODE_AWAY):
                raise
            await self._redis.once(call)


async def _greet(redis: RedisClient) -> None:
    if isinstance(redis, RedisCluster):
        await redis.ping()
    elif (await greet(redis)).get("role") in REPLICA:
        raise ReadOnlyError


async def _closer(found: Diagnosis, redis: RedisConnection) -> Diagnosis:
    """Look closer at a server that does not answer: it may speak only with TLS, only without, or be another service."""
    address = redis.address
    if found.problem is RedisProblem.NO_PRIMARY:
        with contextlib.suppress(RedisError, OSError):
            return found if await redis.knows_primary() else diagnosis(RedisProblem.NO_SUCH_PRIMARY)
    if found.problem not in (RedisProblem.AWAY, RedisProblem.NO_ANSWER, RedisProblem.NOT_REDIS) or not address.hosts or address.primary:
        return found
    return _by_listener(found, await identify(*address.hosts[0]), tls=address.tls)


def _by_listener(found: Diagnosis, listener: Listener, *, tls: bool) -> Diagnosis:
    if listener in SERVERS and listener is not Listener.REDIS:
        return diagnosis(RedisProblem.NOT_REDIS, SERVERS[listener])
    if listener is Listener.REDIS and tls:
        return diagnosis(RedisProblem.NO_TLS)
    if listener is Listener.TLS and not tls:
        return diagnosis(RedisProblem.TLS_NEEDED)
    # A server that closes the connection may do so before its alert is read.
    if listener is Listener.TLS and tls and found.problem is RedisProblem.AWAY:
        return diagnosis(RedisProblem.CERTIFICATE_NEEDED)
    if listener is Listener.OTHER and found.problem is RedisProblem.AWAY:
        return diagnosis(RedisProblem.NO_ANSWER if tls else RedisProblem.HANGS_UP)
    return found


async def _risks(redis: RedisConnection) -> AsyncIterator[ServiceProblem]:
    try:
        memory = await redis.once(lambda client: client.info("memory"))
    except RedisUnusableError:
        memory = {}  # a user without the right to ask is no risk
    # A cluster answers for each node.
    for node in memory.values() if memory and all(isinstance(value, dict) for value in memory.values()) else [memory]:
        policy = str(node.get("maxmemory_policy", "noeviction"))
        if int(node.get("maxmemory", 0)) > 0 and policy != "noeviction":
            yield _risk(
                redis,
                "eviction",
                f"drops keys when its memory is full (maxmemory-policy {policy}), and with them results and the record of what is final; "
                "set maxmemory-policy noeviction, and give sentistream a Redis of its own",
            )
            break
    address = redis.address
    if address.password and address.hosts and not address.tls and not address.primary and await redis_answers(*address.hosts[0]):
        yield _risk(
            redis,
            "password_not_needed",
            "answers without a password, although one is given; set requirepass, or an ACL for its default user",
        )


def _risk(redis: RedisConnection, code: str, text: str) -> ServiceProblem:
    return ServiceProblem(code, f"Redis at {redis.address} {text}", lasting=True, serious=False)


def _older(version: str, than: str) -> bool:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(".")[:2] if part.isdigit()]

    return numbers(version) < numbers(than)
