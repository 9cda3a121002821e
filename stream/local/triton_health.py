"""Checks that every model of the embedded Triton still answers.

Triton calls a model ready even if the process that runs it is dead or hangs. Only an inference shows whether the model works.
"""

from __future__ import annotations

import asyncio

from stream.local.triton import TritonServer
from stream.serving.canary import Canary, Health, canaries
from stream.serving.client import TritonClient
from stream.serving.errors import ServingError

CANARY_TIMEOUT_S = 5.0
"""A canary takes milliseconds on an idle server. The rest is for the requests that wait in the model's queue before it."""
ATTEMPTS = 2
"""A single silence may be chance, for example on a machine that stood still; a restart costs all sessions several seconds."""


class TritonHealth:
    """Sends a canary to each model of a server.

    Args:
        server: The server to check.

    Raises:
        ModelRepositoryError: A model's configuration cannot be read.
    """

    def __init__(self, server: TritonServer) -> None:
        self._canaries = canaries(server.repository)
        self._client = TritonClient(server.grpc_url, CANARY_TIMEOUT_S)

    async def failure(self) -> str | None:
        """Say which model does not answer; None if all do."""
        failures = await asyncio.gather(*(self._failure_of(canary) for canary in self._canaries))
        return next((failure for failure in failures if failure), None)

    async def _failure_of(self, canary: Canary) -> str | None:
        """Each version has a process of its own."""
        try:
            versions = await self._client.versions(canary.model)
        except ServingError:
            versions = ("",)
        failures = await asyncio.gather(*(self._failure_of_version(canary, version) for version in versions))
        return next((failure for failure in failures if failure), None)

    async def _failure_of_version(self, canary: Canary, version: str) -> str | None:
        for _ in range(ATTEMPTS):
            health = await canary.check(self._client, version)
            if health is Health.DEAD:
                return f"the process of model {canary.model} is dead"
            if health is not Health.SILENT:
                return None
        return f"model {canary.model} does not answer"

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()
