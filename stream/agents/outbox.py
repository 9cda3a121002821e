"""Kafka as the pipeline writes to it: a send returns when the broker has the records, however long that takes."""

from __future__ import annotations

import asyncio

import structlog
from aiokafka.errors import KafkaError
from faust import App
from faust.exceptions import ProducerSendError

from stream.pipeline.ports import Addressed

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


class Outbox:
    """Sends through the Faust app's producer and waits outages out."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def send(self, *records: Addressed) -> None:
        """Write records side by side; a retry may write them twice, with identical content."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                sent = [await self._app.producer.send(topic, key, value, None, None, headers) for topic, key, value, headers in records]
                await asyncio.gather(*sent)
            except (KafkaError, ProducerSendError, TimeoutError) as error:
                log.warning("send_failed", topics=[topic for topic, *_ in records], error=type(error).__name__)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                return
