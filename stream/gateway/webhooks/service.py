"""The webhooks of a gateway: it works on them while it holds the lease, and stands by otherwise."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path

import aiohttp
import structlog

from stream.config.settings import Settings
from stream.gateway.context import Gateway
from stream.gateway.webhooks.collector import Collector, LeaseLostError
from stream.gateway.webhooks.receivers import Receiver, WebhooksError, read_receivers
from stream.gateway.webhooks.sender import Sender, open_connections
from stream.gateway.webhooks.together import together
from stream.sinks.connection import RedisConnection
from stream.sinks.problems import RedisUnusableError
from stream.sinks.webhook_outbox import LEASE_MS, WebhookOutbox

log = structlog.get_logger(__name__)

RENEW_S = LEASE_MS / 3000
RETRY_S = 1.0
COLLECT_EVERY_S = 0.5
PRUNE_EVERY_S = 60.0


class _FileChangedError(Exception):
    """The file of receivers is another one than before."""


class WebhookService:
    """Sends webhooks while `run` runs.

    Args:
        settings: Of Redis and of the webhooks; ``webhooks.receivers`` is set.
        redis: The connection.

    Raises:
        WebhooksError: The file of receivers has a mistake.
    """

    def __init__(self, settings: Settings, redis: RedisConnection) -> None:
        if settings.webhooks.receivers is None:
            raise ValueError("without receivers there is nothing to send")
        self._file: Path = settings.webhooks.receivers
        self._settings = settings
        self._redis = redis
        self._outbox = WebhookOutbox(redis, uuid.uuid4().hex)
        self._read_at_ns = 0
        self._receivers = self._read()

    async def run(self) -> None:
        """Send until cancelled; waits out outages of Redis."""
        async with open_connections(self._settings.webhooks) as http:
            try:
                while True:
                    try:
                        if await self._outbox.hold():
                            await self._work(http)
                        else:
                            await asyncio.sleep(RENEW_S)
                    except _FileChangedError:
                        self._reload()
                    except (LeaseLostError, RedisUnusableError):
                        await asyncio.sleep(RETRY_S)
            finally:
                await self._give_back()

    async def _give_back(self) -> None:
        try:
            async with asyncio.timeout(RETRY_S):
                await self._outbox.release()
        except (RedisUnusableError, TimeoutError):
            return

    async def _work(self, http: aiohttp.ClientSession) -> None:
        """Collect and send, until the lease is lost, Redis is away, or the file of receivers changes."""
        config, folder = self._settings.webhooks, self._file.parent
        senders = [Sender(receiver, folder, config, self._outbox, http).run() for receiver in self._receivers]
        await together([self._renew(), self._collect(), *senders])

    async def _renew(self) -> None:
        pruned_at = float("-inf")
        while True:
            if not await self._outbox.hold():
                raise LeaseLostError
            if _modified_ns(self._file) != self._read_at_ns:
                raise _FileChangedError
            if time.monotonic() - pruned_at > PRUNE_EVERY_S:
                pruned_at = time.monotonic()
                before_ms = round(time.time() * 1000) - self._settings.redis.result_ttl_s * 1000
                for receiver in self._receivers:
                    await self._outbox.prune(receiver.name, before_ms)
            await asyncio.sleep(RENEW_S)

    async def _collect(self) -> None:
        collector = Collector(self._redis, self._settings.redis, self._outbox)
        await collector.load()
        while True:
            await collector.collect(self._receivers)
            await asyncio.sleep(COLLECT_EVERY_S)

    def _read(self) -> tuple[Receiver, ...]:
        self._read_at_ns = _modified_ns(self._file)
        return read_receivers(self._file, private_addresses=self._settings.webhooks.private_addresses)

    def _reload(self) -> None:
        """Read the file again. While it has mistakes, the receivers of before stay."""
        try:
            self._receivers = self._read()
            log.info("webhook_receivers_read", receivers=len(self._receivers))
        except WebhooksError as error:
            log.error("webhook_receivers_wrong", detail=str(error))


async def run_webhooks(gateway: Gateway) -> None:
    """Send webhooks beside the requests of a gateway, if there is a file of receivers. Raises `WebhooksError` if it has mistakes."""
    if gateway.settings.webhooks.receivers is not None:
        await WebhookService(gateway.settings, gateway.redis).run()


def _modified_ns(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
