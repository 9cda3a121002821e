"""Sends records of people to Kafka: verdicts and decisions. One thread keeps the connection; callers wait for the acknowledgement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from stream.config.service_settings import KafkaSettings
from stream.domain.kafka_records import Headers
from stream.kafka_admin.connection import require_broker
from stream.kafka_admin.errors import BrokerError
from stream.produce.producer import RecordSender

LONGEST_S = 12.0
"""A caller is told that it is not known whether its record was sent after this time. The record may still arrive."""


class TopicSender:
    """Sends to one topic, which it creates if need be.

    Args:
        settings: The broker.
        topic: The topic.
        ensure: Creates it if it is missing.
    """

    def __init__(self, settings: KafkaSettings, topic: str, ensure: Callable[[KafkaSettings], None]) -> None:
        self._settings = settings
        self._topic = topic
        self._ensure = ensure
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="topic-sender")
        self._sender: RecordSender | None = None

    async def send(self, key: bytes, value: bytes, headers: Headers) -> None:
        """Send a record, and return when the broker has it. Raises `BrokerError`: then the record may or may not be in the topic."""
        sending = asyncio.get_running_loop().run_in_executor(self._thread, self._send, key, value, headers)
        done, _ = await asyncio.wait({sending}, timeout=LONGEST_S)
        if not done:
            sending.add_done_callback(_looked_at)
            raise BrokerError(f"Kafka has not acknowledged the record within {LONGEST_S:g} s")
        sending.result()

    async def close(self) -> None:
        """Close the connection."""
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        await asyncio.wait({closing}, timeout=LONGEST_S)
        self._thread.shutdown(wait=False)

    def _send(self, key: bytes, value: bytes, headers: Headers) -> None:
        # A broker that is away is noticed in milliseconds here; a producer would wait for half a minute.
        require_broker(self._settings)
        try:
            if self._sender is None:
                self._ensure(self._settings)
                self._sender = RecordSender(self._settings)
            self._sender.send(self._topic, key, value, headers)
            self._sender.flush()
        except BrokerError:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._sender is not None:
            sender, self._sender = self._sender, None
            sender.give_up()


def _looked_at(sending: asyncio.Future[None]) -> None:
    """Nobody waits any more: take the error, so that asyncio does not report it."""
    if not sending.cancelled():
        sending.exception()
