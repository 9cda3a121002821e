"""Writes the pipeline's records to Kafka through Faust's producer."""

from __future__ import annotations

import asyncio

import structlog
from aiokafka.errors import KafkaError
from faust import App
from faust.exceptions import ProducerSendError

from stream.aio.backoff import Backoff
from stream.aio.outage import wait_out
from stream.pipeline.ports import Addressed

log = structlog.get_logger(__name__)

BACKOFF = Backoff(first_s=0.2, cap_s=5.0, jitter=0.0)
"""Pauses between attempts. The cap bounds how long results wait after the broker is back."""


class ResultProducer:
    """Sends through the producer of a Faust app and waits out outages."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def send(self, *records: Addressed) -> None:
        """Write records concurrently; return when the broker has them all. A retry may write them twice, with identical content."""

        async def attempt(_failures: int) -> None:
            producer = self._app.producer
            sent = [await producer.send(topic, key, value, None, None, headers) for topic, key, value, headers in records]
            await asyncio.gather(*sent)

        def on_outage(error: Exception, _failures: int) -> None:
            log.warning("send_failed", topics=[topic for topic, *_ in records], error=type(error).__name__)

        await wait_out(attempt, is_outage=is_outage, backoff=BACKOFF, on_outage=on_outage)


def is_outage(error: Exception) -> bool:
    """Whether an error of Faust's producer passes by itself. `ProducerSendError` does: Faust raises it after a request's time-out."""
    return isinstance(error, (KafkaError, ProducerSendError, TimeoutError))
