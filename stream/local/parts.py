"""How each part of the embedded stack is watched and revived."""

from __future__ import annotations

import asyncio

from stream.local.broker import Broker
from stream.local.errors import PartLostError
from stream.local.redis_server import RedisServer
from stream.local.triton import TritonServer
from stream.serving.canary import Canary, Health, canaries
from stream.serving.client import TritonClient

CANARY_TIMEOUT_S = 5.0
SILENCES_UNTIL_SICK = 2
"""One silence may be chance."""


class WatchedTriton:
    """Triton with a canary for each model; any model that falls silent makes it sick."""

    def __init__(self, server: TritonServer) -> None:
        self._server = server
        self._canaries: tuple[Canary, ...] = canaries(server.repository)
        self._client = TritonClient(server.grpc_url, CANARY_TIMEOUT_S)

    @property
    def alive(self) -> bool:
        """False once the server's process has ended."""
        return self._server.process.running

    async def sick(self) -> str | None:
        """The model that does not answer, if any."""
        reasons = await asyncio.gather(*(self._silence(canary) for canary in self._canaries))
        return next((reason for reason in reasons if reason), None)

    async def _silence(self, canary: Canary) -> str | None:
        for _ in range(SILENCES_UNTIL_SICK):
            health = await canary.check(self._client)
            if health is Health.DEAD:
                return f"the process of model {canary.model} is dead"
            if health is not Health.SILENT:
                return None
        return f"model {canary.model} does not answer"

    async def restart(self) -> None:
        """Restart the whole server, on the same ports."""
        await self._server.restart()

    async def close(self) -> None:
        """Close the canaries' connection."""
        await self._client.close()


class WatchedRedis:
    """Redis: its data is on disk, so it can be started again."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    @property
    def alive(self) -> bool:
        """False once its process has ended."""
        return self._server.process.running

    async def sick(self) -> str | None:
        """Never: a slow Redis is not a dead one."""
        return None

    async def restart(self) -> None:
        """Start it again with its data."""
        await self._server.start()


class WatchedBroker:
    """The broker: its topics die with it, so its end is the end of the run."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @property
    def alive(self) -> bool:
        """False once its process has ended."""
        return self._broker.process.running

    async def sick(self) -> str | None:
        """Never."""
        return None

    async def restart(self) -> None:
        """Impossible. Raises `PartLostError`."""
        raise PartLostError("the embedded Kafka broker ended, and its topics with it; start again")
