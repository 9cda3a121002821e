"""How many verdicts there are on each artefact, from the topic ``feedback``, which takes some seconds to read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from stream.config.service_settings import KafkaSettings
from stream.kafka_admin.errors import BrokerError
from stream.reveal.feedback import counted, read_verdicts

FRESH_S = 30.0
LONGEST_S = 6.0

Counts = Mapping[str, dict[str, int]]


class VerdictCounts:
    """Reads the topic when somebody asks, at most one reading at a time.

    Args:
        settings: The broker.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._counts: Counts | None = None
        self._read_at = float("-inf")
        self._reading: asyncio.Task[Counts | None] | None = None

    async def now(self) -> Counts | None:
        """The counts, at most half a minute old unless Kafka is away; None if they were never read."""
        if time.monotonic() - self._read_at >= FRESH_S:
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
            # A reading that takes longer goes on, for whoever asks next.
            await asyncio.wait({self._reading}, timeout=LONGEST_S)
        return self._counts

    def outdated(self) -> None:
        """There is a new verdict."""
        self._read_at = float("-inf")

    async def _read(self) -> Counts | None:
        try:
            self._counts = counted(await asyncio.to_thread(read_verdicts, self._settings))
            self._read_at = time.monotonic()
        except BrokerError:
            return None
        finally:
            self._reading = None
        return self._counts
