"""The versions of ``mmci`` that Triton serves side by side: their weights, the one that counts by default, and those that are missing."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from stream.aio.backoff import Backoff
from stream.aio.breaker import Breaker
from stream.config.service_settings import TritonSettings
from stream.domain.result import ModelVersion
from stream.domain.service_problem import ServiceProblem
from stream.model_repository.files import MODEL_FILE, VERSION
from stream.model_repository.served_models import AUDIO_ENCODER, MMCI
from stream.serving.client import TritonClient
from stream.serving.errors import ServingError


class ServedVersions:
    """What is known of the served versions of ``mmci``.

    Args:
        settings: Address and repository.
        client: Calls Triton.
        breaker: Waits out outages.
        backoff: Pauses between questions for a version that is not loaded.
    """

    def __init__(self, settings: TritonSettings, client: TritonClient, breaker: Breaker, backoff: Backoff) -> None:
        self._settings = settings
        self._client = client
        self._breaker = breaker
        self._backoff = backoff
        self._digests: dict[str, str] = {}
        self._audio_encoders: dict[str, str] = {}
        self._asked: Counter[str] = Counter()
        self._encoders_asked: Counter[str] = Counter()
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

    async def audio_encoder(self, version: str) -> str:
        """The version of the audio encoder with which a version was trained. While that version is not loaded, the caller waits for it."""
        with self.asked(version):
            failures = 0
            while version not in self._audio_encoders:
                # Not through the breaker alone: a version that is not loaded must not hold up questions about the others.
                found = await self._breaker.run(lambda: self._client.audio_encoder(version))
                if found is not None:
                    self._audio_encoders[version] = found
                    return found
                failures += 1
                await asyncio.sleep(self._backoff.delay_s(failures))
        return self._audio_encoders[version]

    def forget(self) -> None:
        """Triton was away, or has refused a request: it may come back with other weights."""
        self._digests.clear()
        self._audio_encoders.clear()

    @contextlib.contextmanager
    def asked(self, version: str) -> Iterator[None]:
        """Inside it, somebody waits for an answer of a version."""
        self._asked[version] += 1
        try:
            yield
        finally:
            self._asked[version] -= 1

    @contextlib.contextmanager
    def encoder_asked(self, version: str) -> Iterator[None]:
        """Inside it, somebody waits for an answer of a version of the audio encoder."""
        self._encoders_asked[version] += 1
        try:
            yield
        finally:
            self._encoders_asked[version] -= 1

    def is_asked(self, model: str, version: str) -> bool:
        """Whether somebody waits for an answer of a version of ``mmci`` or of the audio encoder."""
        return (self._encoders_asked if model == AUDIO_ENCODER else self._asked)[version] > 0

    async def missing(self) -> ServiceProblem | None:
        """Return that versions which windows or sound wait for are not loaded, or None."""
        try:
            self.served = await self._client.versions(MMCI)
            encoders = await self._client.versions(AUDIO_ENCODER) if any(+self._encoders_asked) else ()
        except ServingError:
            return None
        asked = ((MMCI, self._asked, self.served), (AUDIO_ENCODER, self._encoders_asked, encoders))
        for model, waiting, served in asked:
            missing = sorted((version for version, callers in waiting.items() if callers and version not in served), key=int)
            if missing:
                text = (
                    f"Triton at {self._settings.url} has not loaded version {', '.join(missing)} of {model}, which open sessions keep; "
                    f"their windows wait, and no other version answers for it: load it with `sentistream models load {missing[0]}`"
                )
                return ServiceProblem("version_missing", text, lasting=False)
        return None


def file_digest(path: Path) -> str:
    """First 12 hexadecimal digits of a file's SHA-256, or ``unknown`` where the file cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]
    except OSError:
        return "unknown"
