"""Checks that services which the user named answer, before anything is started that needs them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

from stream.aio.probes import listens
from stream.config.settings import Settings
from stream.local.errors import LocalStackError

KAFKA_PORT = 9092
TRITON_PORT = 8001


def parse_addresses(host_ports: str, default_port: int) -> Iterator[tuple[str, int]]:
    """Yield hosts and ports of ``HOST:PORT,HOST:PORT``. Raises `LocalStackError` if a port is not a number."""
    for item in host_ports.split(","):
        try:
            parts = urlsplit(f"//{item.strip()}")
            yield parts.hostname or "", parts.port or default_port
        except ValueError:
            raise LocalStackError(f"{item.strip()!r} is not of the form HOST:PORT") from None


async def any_listens(addresses: list[tuple[str, int]]) -> bool:
    """True if a server accepts connections on at least one of the addresses."""
    return any(await asyncio.gather(*(listens(host, port) for host, port in addresses)))


async def require_services(settings: Settings, *, kafka: bool, redis: bool, triton: bool) -> None:
    """Check that services of the settings accept connections.

    Args:
        settings: The addresses.
        kafka: Whether to check Kafka.
        redis: Whether to check Redis; one on a Unix socket is taken to be there. `stream.sinks.examine` looks closer.
        triton: Whether to check Triton.

    Raises:
        LocalStackError: With one sentence about the first service that does not answer.
    """
    redis_servers = list(settings.redis.address.hosts)
    services = (
        ("Kafka", kafka, list(parse_addresses(settings.kafka.bootstrap, KAFKA_PORT)), "--kafka or kafka.bootstrap"),
        ("Redis", redis and bool(redis_servers), redis_servers, "--redis or redis.url"),
        ("Triton", triton, list(parse_addresses(settings.triton.url, TRITON_PORT)), "--triton or triton.url"),
    )
    for name, needed, addresses, setting in services:
        if needed and not await any_listens(addresses):
            where = ", ".join(f"{host}:{port}" for host, port in addresses)
            raise LocalStackError(f"{name} does not answer at {where}; start it, or correct {setting}")
