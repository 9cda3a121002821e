"""Says why a worker cannot read from Kafka or write to it."""

from __future__ import annotations

import asyncio

from stream.agents.worker_state import WorkerState
from stream.config.service_settings import KafkaSettings
from stream.domain.service_problem import ServiceProblem
from stream.kafka_admin.connection import refusal
from stream.kafka_admin.handshake import broker_problem

SILENT_S = 3.0
"""A broker answers every fetch within ``kafka.fetch_max_wait_ms``. A worker that is full does not fetch for a moment."""


class KafkaHealth:
    """Looks at the broker only if the worker has a reason to: nothing is assigned, no fetch was answered, or something is refused.

    Args:
        settings: The broker.
        state: What the worker knows.
    """

    def __init__(self, settings: KafkaSettings, state: WorkerState) -> None:
        self._settings = settings
        self._state = state

    async def problem(self) -> ServiceProblem | None:
        """Why Kafka cannot be used now; None if it can."""
        refused = dict(self._state.refused)
        if self._state.partitions is not None and self._state.broker_silent_s() < SILENT_S and not refused:
            return None
        problem = await asyncio.to_thread(broker_problem, self._settings)
        if problem is not None and problem.serious:
            return problem
        return next((refusal(self._settings, error, topic) for topic, error in refused.items()), None)
