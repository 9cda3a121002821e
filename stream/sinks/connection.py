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
"""Most connections of one process; further calls wait for a free one."""

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
"""Errors that pass by themselves or once the server is fixed: they are waited out."""


def is_outage(error: Exception) -> bool:
    """Whether an error is an outage, which passes. So is uvloop's ``RuntimeError`` for a write to a connection that has just been cut."""
    return isinstance(error, OUTAGE) or (isinstance(error, RuntimeError) and "handler is closed" in str(error))


def connect(settings: RedisSettings) -> RedisClient:
    """A client that answers in text; nothing is sent until the first call. Retrying is left to the caller."""
    pool = BlockingConnectionPool.from_url(
        settings.url.get_secret_value(),
        max_connections=CONNECTIONS,
        timeout=settings.timeout_s,
        socket_timeout=settings.timeout_s,
        socket_connect_timeout=settings.timeout_s,
        health_check_interval=15,
        decode_responses=True,
        protocol=3,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)
