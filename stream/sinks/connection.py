"""Connects to Redis, and tells outages from errors."""

from __future__ import annotations

from typing import TypeAlias

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 (redis-py's name)
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,  # noqa: A004 (redis-py's name)
    TryAgainError,
)

from stream.config.settings import RedisSettings

RedisClient: TypeAlias = Redis

CONNECTIONS = 32
"""Most connections of one process. Further calls wait for a free connection, so that a burst of windows cannot exhaust the server."""

OUTAGE = (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    OSError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,
    TryAgainError,
)
"""Errors that pass by themselves or when the server is repaired. They are waited out: a failover or a full memory must lose no window."""


def is_outage(error: Exception) -> bool:
    """Whether an error is an outage, which passes.

    uvloop raises a ``RuntimeError`` for a write to a connection that has just been cut. It is an outage as well: taken for a bug, it would
    stop the worker.
    """
    return isinstance(error, OUTAGE) or (isinstance(error, RuntimeError) and "handler is closed" in str(error))


def connect(settings: RedisSettings) -> RedisClient:
    """A client that decodes answers as text. Nothing is sent until the first call.

    redis-py's own retries are switched off: they would repeat a call that may have taken effect without telling the caller, who has to mark
    the call as a repeat (see `stream.sinks.scripts.FINALISE`).
    """
    pool = BlockingConnectionPool.from_url(
        settings.url.get_secret_value(),
        max_connections=CONNECTIONS,
        timeout=settings.timeout_s,
        socket_timeout=settings.timeout_s,
        socket_connect_timeout=settings.timeout_s,
        # Longest time, in seconds, that a connection is used unchecked after being idle: firewalls drop idle connections silently.
        health_check_interval=15,
        decode_responses=True,
        protocol=3,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)
