"""Are the services that are not ours there? Asked before anything is started against them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

from stream.config.settings import Settings
from stream.local.errors import LocalStackError
from stream.local.probes import listens

REDIS_PORT = 6379


def addresses(host_ports: str, default_port: int) -> Iterator[tuple[str, int]]:
    """Hosts and ports of ``HOST:PORT,HOST:PORT``. Raises `LocalStackError` for a port that is no number."""
    for item in host_ports.split(","):
        try:
            parts = urlsplit(f"//{item.strip()}")
            yield parts.hostname or "", parts.port or default_port
        except ValueError:
            raise LocalStackError(f"{item.strip()!r} is no HOST:PORT") from None


def redis_address(url: str) -> tuple[str, int] | None:
    """Host and port of a Redis URL; None for a Unix socket."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return None
    return next(addresses(parts.netloc.rpartition("@")[2], REDIS_PORT))


async def any_listens(places: list[tuple[str, int]]) -> bool:
    """True when at least one of them accepts connections."""
    return any(await asyncio.gather(*(listens(host, port) for host, port in places)))


async def require_services(settings: Settings, *, kafka: bool, redis: bool, triton: bool) -> None:
    """Check the named services of the settings. Raises `LocalStackError` with one sentence for the first that is not there."""
    address = redis_address(settings.redis.url.get_secret_value())
    wanted = (
        ("Kafka", kafka, list(addresses(settings.kafka.bootstrap, 9092)), "--kafka or kafka.bootstrap"),
        ("Redis", redis and address is not None, [address] if address else [], "--redis or redis.url"),
        ("Triton", triton, list(addresses(settings.triton.url, 8001)), "--triton or triton.url"),
    )
    for name, needed, places, setting in wanted:
        if needed and not await any_listens(places):
            where = ", ".join(f"{host}:{port}" for host, port in places)
            raise LocalStackError(f"{name} does not answer at {where}; start it, or correct {setting}")
