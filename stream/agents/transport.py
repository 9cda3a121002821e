"""Faust's aiokafka transport with two more settings: how long a fetch waits, and for how much.

Faust 0.15 fixes it at 1.5 s (``faust/transport/drivers/aiokafka.py``, ``_create_worker_consumer``). Apache Kafka answers as soon as
there is data, but other brokers of its protocol answer late in a long poll, which would be the latency of every window.
"""

from __future__ import annotations

import logging
from typing import ClassVar

from aiokafka import AIOKafkaConsumer
from faust import App
from faust.transport.drivers import aiokafka as driver

# Faust's services log under the name of the module that defines them; their every start is no news.
logging.getLogger(__name__).setLevel(logging.WARNING)


def transport(app: App, fetch_max_wait_ms: int, fetch_min_bytes: int) -> driver.Transport:
    """A transport whose consumer's fetch waits for ``fetch_min_bytes``, but at most ``fetch_max_wait_ms``."""

    class PromptThread(driver.AIOKafkaConsumerThread):
        def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
            consumer = super()._create_worker_consumer(transport)
            consumer._fetch_max_wait_ms = fetch_max_wait_ms
            consumer._fetch_min_bytes = fetch_min_bytes
            return consumer

    class PromptConsumer(driver.Consumer):
        def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
            return PromptThread(self, loop=self.loop, beacon=self.beacon)

    class Transport(driver.Transport):
        Consumer: ClassVar[type[driver.Consumer]] = PromptConsumer

    return Transport(app.conf.broker_consumer, app)
