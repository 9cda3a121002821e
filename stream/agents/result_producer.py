"""Writes the pipeline's records to Kafka through Faust's producer."""

from __future__ import annotations

import asyncio

import structlog
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from faust import App
from faust.exceptions import ProducerSendError

from stream.aio.backoff import Backoff
from stream.aio.outage import wait_out
from stream.pipeline.ports import Addressed

log = structlog.get_logger(__name__)

BACKOFF = Backoff(first_s=0.2, cap_s=5.0, jitter=0.0)
"""Pauses between attempts. The cap bounds how long results wait after the broker is back."""


class ResultProducer:
    """Sends through the producer of a Faust app and waits out outages.

    Args:
        app: The Faust app.
        refused: Kept up to date: by topic to which records cannot be written now, the name of the error.
    """

    def __init__(self, app: App, refused: dict[str, str] | None = None) -> None:
        self._app = app
        self._refused = {} if refused is None else refused

    async def send(self, *records: Addressed) -> None:
        """Write records concurrently; return when the broker has them all. A retry may write them twice, with identical content."""

        async def attempt(_failures: int) -> None:
            producer = self._app.producer
            sent = [await producer.send(topic, key, value, None, None, headers) for topic, key, value, headers in records]
            await asyncio.gather(*sent)

        topics = [topic for topic, *_ in records]

        def on_outage(error: Exception, failures: int) -> None:
            # Faust wraps the reason why a record cannot be sent at all.
            reason = error.__cause__ if isinstance(error, ProducerSendError) and error.__cause__ is not None else error
            denied = reason.args if isinstance(reason, TopicAuthorizationFailedError) else ()
            self._refused.update(dict.fromkeys([topic for topic in topics if topic in denied] or topics, type(reason).__name__))
            # The monitor of the services says again and again what lasts.
            if failures == 1:
                log.warning("send_failed", topics=topics, error=type(reason).__name__)

        await wait_out(attempt, is_outage=is_outage, backoff=BACKOFF, on_outage=on_outage)
        for topic in topics:
            self._refused.pop(topic, None)


def is_outage(error: Exception) -> bool:
    """Whether an error of Faust's producer passes by itself. `ProducerSendError` does: Faust raises it after a request's time-out."""
    return isinstance(error, (KafkaError, ProducerSendError, TimeoutError))
