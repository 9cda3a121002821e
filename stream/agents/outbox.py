"""Kafka as the pipeline writes to it: a send returns when the broker has the record, however long that takes."""

from __future__ import annotations

import asyncio

import structlog
from aiokafka.errors import KafkaError
from faust import App

from stream.domain.wire import Headers

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


class Outbox:
    """Sends through the Faust app's producer and waits outages out."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def send(self, topic: str, key: bytes, value: bytes, headers: Headers) -> None:
        """Write one record; a retry may write it twice, with identical content."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._app.producer.send_and_wait(topic, key, value, None, None, headers)
            except (KafkaError, TimeoutError) as error:
                log.warning("send_failed", topic=topic, error=type(error).__name__)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                return
