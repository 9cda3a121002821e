"""Connects to Redis, tells outages from errors, and waits outages out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import structlog
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

from stream.aio.backoff import Backoff
from stream.aio.outage import wait_out
from stream.config.settings import RedisSettings

log = structlog.get_logger(__name__)

RedisClient: TypeAlias = Redis
Answer = TypeVar("Answer")

BACKOFF = Backoff(first_s=0.05, cap_s=2.0)
"""Pauses of a writer while Redis is away. The cap bounds how long results wait after Redis is back; jitter spreads the workers that all
wait for it."""

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


async def waiting_out(call: Callable[[int], Awaitable[Answer]]) -> Answer:
    """Repeat a call until Redis answers, so that an outage loses nothing. The call receives the number of failed attempts."""
    return await wait_out(call, is_outage=is_outage, backoff=BACKOFF, on_outage=log_outage, on_recovery=_log_recovery)


def log_outage(error: Exception, failures: int) -> None:
    """Log the first failed attempt of an outage."""
    if failures == 1:
        log.warning("redis_unavailable", error=type(error).__name__)


def _log_recovery(failures: int) -> None:
    log.info("redis_available", attempts=failures + 1)
