"""The versions of ``mmci`` that Triton serves side by side: their weights, the one that counts by default, and those that are missing."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from stream.aio.breaker import Breaker
from stream.config.settings import TritonSettings
from stream.domain.result import ModelVersion
from stream.domain.service_problem import ServiceProblem
from stream.model_repository.files import MODEL_FILE, VERSION
from stream.model_repository.served_models import MMCI
from stream.serving.client import TritonClient
from stream.serving.errors import ServingError


class ServedVersions:
    """What is known of the served versions of ``mmci``.

    Args:
        settings: Address and repository.
        client: Calls Triton.
        breaker: Waits out outages.
    """

    def __init__(self, settings: TritonSettings, client: TritonClient, breaker: Breaker) -> None:
        self._settings = settings
        self._client = client
        self._breaker = breaker
        self._digests: dict[str, str] = {}
        self._asked: Counter[str] = Counter()
        self.served: tuple[str, ...] = ()
        """The versions that Triton served when it was last asked."""

    async def default(self) -> str:
        """The lowest version that is served: one that is loaded beside it, to be tried or checked, must not be used unasked."""
        versions = await self._breaker.run(lambda: self._client.versions(MMCI))
        return min(versions, key=int, default=VERSION)

    async def named(self, version: str) -> ModelVersion:
        """Name, version and digest of the weights.

        The digest is the one in the served configuration. A configuration without a digest is assumed to be that of the local repository.
        """
        if version not in self._digests:
            digests = await self._breaker.run(lambda: self._client.digests(MMCI))
            file = self._settings.model_repository / MMCI / version / MODEL_FILE
            self._digests[version] = digests.get(version, "") or await asyncio.to_thread(file_digest, file)
        return ModelVersion(MMCI, version, self._digests[version])

    def forget(self) -> None:
        """Triton was away, or has refused a request: it may come back with other weights."""
        self._digests.clear()

    @contextlib.contextmanager
    def asked(self, version: str) -> Iterator[None]:
        """Inside it, somebody waits for an answer of a version."""
        self._asked[version] += 1
        try:
            yield
        finally:
            self._asked[version] -= 1

    def is_asked(self, version: str) -> bool:
        """Whether somebody waits for an answer of a version."""
        return self._asked[version] > 0

    async def missing(self) -> ServiceProblem | None:
        """Return that versions which windows wait for are not loaded, or None."""
        try:
            self.served = await self._client.versions(MMCI)
        except ServingError:
            return None
        missing = ", ".join(
            sorted((version for version, waiting in self._asked.items() if waiting and version not in self.served), key=int)
        )
        if not missing:
            return None
        text = (
            f"Triton at {self._settings.url} has not loaded version {missing} of mmci, which open sessions keep; their windows wait, "
            f"and no other version answers for it: load it with `sentistream models load {missing.partition(',')[0]}`"
        )
        return ServiceProblem("version_missing", text, lasting=False)


def file_digest(path: Path) -> str:
    """First 12 hexadecimal digits of a file's SHA-256, or ``unknown`` where the file cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]
    except OSError:
        return "unknown"
