"""Connects to Redis, to Redis Cluster or through Sentinels, and waits outages out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar, cast

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError
from redis.backoff import NoBackoff

from stream.aio.backoff import Backoff
from stream.aio.cancellation import CancellationGuard
from stream.aio.outage import wait_out
from stream.config.service_settings import RedisSettings
from stream.sinks.problems import Diagnosis, RedisProblem, diagnose, diagnosis
from stream.sinks.troubles import Troubles

RedisClient: TypeAlias = Redis | RedisCluster
Answer = TypeVar("Answer")

BACKOFF = Backoff(first_s=0.05, cap_s=2.0)
"""Pauses of a writer while Redis is away. The cap bounds how long results wait after Redis is back; jitter spreads the workers that all
wait for it."""

CONNECTIONS = 32
"""Most calls of one process at once, each on one connection. Further calls wait, so that a burst of windows cannot exhaust the server."""


def is_outage(error: Exception) -> bool:
    """Whether a call that failed with this error is worth repeating: the error says something about Redis, and not about the call."""
    return diagnose(error) is not None


async def greet(redis: Redis) -> dict[str, Any]:
    """What a server says about itself: ``version``, ``mode``, ``role``… A user without any right may ask, too."""
    answer = await redis.execute_command("HELLO")  # type: ignore[no-untyped-call]
    return answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))


class RedisConnection:
    """A lazy connection: nothing is sent before the first call. A Redis Cluster is recognised by its answer to HELLO.

    A call whose task is cancelled always raises ``asyncio.CancelledError`` (see `stream.aio.cancellation`).

    redis-py's own retries are switched off: they would repeat a call that may have taken effect without telling the caller, who has to mark
    the call as a repeat (see `stream.sinks.scripts.FINALISE`).

    Args:
        settings: Where Redis is.
        logs: Whether to log what calls wait for; False if a monitor does.
    """

    def __init__(self, settings: RedisSettings, *, logs: bool = True) -> None:
        self.address = settings.address
        self.hello: dict[str, Any] = {}
        """What Redis said about itself: ``version``, ``mode``, ``role``…; empty before the first call."""
        self._timeout_s = settings.timeout_s
        self._client: RedisClient | None = None
        self._sentinel: Sentinel | None = None
        self._retired: RedisClient | None = None
        self._connecting = asyncio.Lock()
        self._refreshing = asyncio.Lock()
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._troubles = Troubles(str(self.address), logs=logs)

    @property
    def trouble(self) -> Diagnosis | None:
        """What calls wait for now; None if no call waits."""
        return self._troubles.current

    async def client(self) -> RedisClient:
        """The client. Raises an error that `diagnose` knows."""
        async with self._connecting:
            if self._client is None:
                self._client = await self._connect()
            return self._client

    async def once(self, call: Callable[[RedisClient], Awaitable[Answer]]) -> Answer:
        """Try a call once. Raises `RedisUnusableError`."""
        try:
            return await self._attempt(lambda redis, _failures: call(redis), 0)
        except Exception as error:
            found = self._diagnose(error)
            if found is None:
                raise
            raise found.as_error(str(self.address)) from None

    async def waiting_out(self, call: Callable[[RedisClient, int], Awaitable[Answer]], backoff: Backoff = BACKOFF) -> Answer:
        """Repeat a call until Redis answers, so that an outage loses nothing. The call receives the number of failed attempts."""
        with self._troubles.of_call() as waiting:
            return await wait_out(
                lambda failures: self._attempt(call, failures),
                is_outage=is_outage,
                backoff=backoff,
                on_outage=lambda error, _failures: self._troubles.note(waiting, self._diagnose(error)),
            )

    def _diagnose(self, error: Exception) -> Diagnosis | None:
        found = diagnose(error)
        if found is None or found.problem not in (RedisProblem.AWAY, RedisProblem.NO_ANSWER):
            return found
        if self.hello.get("mode") == "cluster":
            return diagnosis(RedisProblem.NODE_AWAY)
        # Where no Sentinel answers either, the error is one of them.
        through_sentinel = self.address.primary is not None and not isinstance(error, MasterNotFoundError)
        return diagnosis(RedisProblem.NO_PRIMARY) if through_sentinel else found

    async def knows_primary(self) -> bool:
        """Whether a Sentinel knows the primary's name, although it may be down. Raises an error that `diagnose` knows."""
        assert self._sentinel is not None  # noqa: S101 - only asked after a connection through Sentinels
        answers = [await sentinel.sentinel_get_master_addr_by_name(self.address.primary) for sentinel in self._sentinel.sentinels]
        return any(answers)

    async def close(self) -> None:
        """Close all connections."""
        for client in (self._client, self._retired, *(self._sentinel.sentinels if self._sentinel else ())):
            if client is not None:
                await client.aclose()
        self._client = self._retired = self._sentinel = None

    async def _attempt(self, call: Callable[[RedisClient, int], Awaitable[Answer]], failures: int) -> Answer:
        cancellation = CancellationGuard()
        try:
            async with self._slots:
                redis = await self.client()
                try:
                    return await call(redis, failures)
                except Exception as error:
                    await self._look_again(redis, error)
                    raise
        finally:
            # Around all of it: to connect, and to look again, are calls of redis-py, too.
            cancellation.check()

    async def _look_again(self, redis: RedisClient, error: Exception) -> None:
        """Prepare the next attempt: another server may have the keys by now."""
        found = diagnose(error)
        if isinstance(redis, RedisCluster):
            if found is not None:
                await self._refresh(redis)
        elif found is not None and found.problem is RedisProblem.READ_ONLY:
            # After a failover, connections to the old primary stay open, while the address already leads to the new one.
            await redis.connection_pool.disconnect(inuse_connections=False)

    async def _refresh(self, cluster: RedisCluster) -> None:
        """Ask the cluster's nodes which of them has which slot. If none answers, the next call begins again at the setting's address."""
        if self._refreshing.locked():
            return
        async with self._refreshing:
            try:
                await cluster.nodes_manager.initialize()
            except Exception:
                if self._client is cluster:
                    # Calls that are still under way use it, so it is closed later.
                    if self._retired is not None:
                        await self._retired.aclose()
                    self._client, self._retired = None, cluster

    async def _connect(self) -> RedisClient:
        address, errors = self.address, list[Exception]()
        if address.primary is not None:
            return await self._greeted(self._through_sentinels(address.primary))
        if address.socket is not None:
            return await self._greeted(Redis(unix_socket_path=address.socket, db=address.database, **self._options()))
        for host, port in address.hosts:
            try:
                return await self._greeted(Redis(host=host, port=port, db=address.database, **self._options(), **self._tls()))
            except Exception as error:
                errors.append(error)
        raise errors[0]

    async def _greeted(self, redis: Redis) -> RedisClient:
        """The right client for the server that another client has reached."""
        try:
            self.hello = await greet(redis)
        except BaseException:
            await redis.aclose()
            raise
        mode = self.hello.get("mode")
        if mode not in ("cluster", "sentinel"):
            return redis
        await redis.aclose()
        if mode == "sentinel":
            raise diagnosis(RedisProblem.SENTINEL).as_error(str(self.address))
        if not self.address.hosts:
            raise diagnosis(RedisProblem.CLUSTER_BY_SOCKET).as_error(str(self.address))
        if self.address.database != 0:
            raise diagnosis(RedisProblem.NO_SUCH_DATABASE).as_error(str(self.address))
        nodes = [ClusterNode(host, port) for host, port in self.address.hosts]
        return RedisCluster(startup_nodes=nodes, **self._options(), **self._tls())

    def _through_sentinels(self, primary: str) -> Redis:
        """A client of the primary that asks the Sentinels, for each new connection, which server that is."""
        if self._sentinel is None:
            self._sentinel = self._sentinels()
        return cast(Redis, self._sentinel.master_for(primary))

    def _sentinels(self) -> Sentinel:
        own = {"socket_timeout": self._timeout_s, "socket_connect_timeout": self._timeout_s, "retry": Retry(NoBackoff(), 0)}
        return Sentinel(  # type: ignore[no-untyped-call]
            list(self.address.hosts),
            sentinel_kwargs={**own, **self._tls(), **self.address.sentinel},
            db=self.address.database,
            **self._options(),
            **self._tls(),
        )

    def _options(self) -> dict[str, Any]:
        return {
            "username": self.address.username,
            "password": self.address.password,
            # Publish/subscribe takes a connection of its own.
            "max_connections": CONNECTIONS + 4,
            "socket_timeout": self._timeout_s,
            "socket_connect_timeout": self._timeout_s,
            # Longest time, in seconds, that a connection is used unchecked after being idle: firewalls drop idle connections silently.
            "health_check_interval": 15,
            "decode_responses": True,
            "protocol": 3,
            "retry": Retry(NoBackoff(), 0),
        }

    def _tls(self) -> dict[str, Any]:
        return {"ssl": True, **self.address.options} if self.address.tls else {}
