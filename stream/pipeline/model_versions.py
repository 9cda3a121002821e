"""Loads, promotes, rolls back and retires versions of ``mmci`` while workers score windows.

Triton serves several versions side by side. Which of them new epochs get stands in Redis; an epoch that has begun keeps its own. Every
step that may fail comes before the step that workers notice, so a version that is refused changes nothing for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import structlog

from stream.config.settings import Settings
from stream.domain.inference import SCORE_LIMIT
from stream.domain.media_format import MEL_BINS, MEL_FRAMES
from stream.domain.result import ModelVersion
from stream.model_repository.audio_weights import PROJECTION, build_audio_encoder, is_built
from stream.model_repository.errors import VersionRefusedError, WeightsError
from stream.model_repository.files import VERSION
from stream.model_repository.repository import check_model
from stream.model_repository.served_models import AUDIO_ENCODER, MMCI
from stream.model_repository.version_files import digests_of, gates_problem, load_at_start, load_encoders_at_start, own_encoders
from stream.serving.canary_windows import canary_windows
from stream.serving.client import TritonClient
from stream.serving.diagnosis import foreign_model
from stream.serving.errors import ModelRejectedError, ServingError
from stream.serving.models import Models
from stream.sinks.promotions import InForce, Promotions

log = structlog.get_logger(__name__)

LOAD_TIMEOUT_S = 120.0
CANARY_TIMEOUT_S = 20.0
SUM_TOLERANCE = 1e-3
"""By how much the probabilities of a canary may miss 1."""


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """What is known of the versions.

    Attributes:
        loaded: By version that Triton serves, the digest of its weights.
        in_force: The version that new epochs get.
        previous: The version to which a rollback goes back.
        open_epochs: By version, the open epochs that keep it.
    """

    loaded: Mapping[str, str]
    in_force: str
    previous: str | None
    open_epochs: Mapping[str, int]


class ModelVersions:
    """An async context manager with the steps as methods.

    Args:
        settings: Addresses of Triton and Redis, and the model repository, which has to be the one that Triton reads.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.triton
        self._directory = settings.triton.model_repository / MMCI
        self._encoders = settings.triton.model_repository / AUDIO_ENCODER
        self._client = TritonClient(settings.triton.url, settings.triton.timeout_s)
        self._models = Models(settings.triton, client=self._client)
        self._promotions = Promotions(settings.redis)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self._models.close()
        await self._promotions.close()

    async def status(self) -> VersionStatus:
        """What Triton and Redis say. Raises `ServingError` or `stream.sinks.problems.RedisUnusableError`."""
        served, digests = await self._client.versions(MMCI), await self._client.digests(MMCI)
        in_force = await self._promotions.in_force()
        loaded = {version: digests.get(version, "") for version in sorted(served, key=int)}
        version = in_force.version or await self._models.default_version()
        return VersionStatus(loaded, version, in_force.previous, await self._promotions.open_epochs())

    async def load(self, version: str) -> ModelVersion:
        """Let Triton serve a version beside those that it serves. No window gets it by that, unless its epoch was pinned to it before.

        1. Check its files: they are there, and fit the configuration of this release.
        2. If it was trained with an audio encoder of its own, build that, load it beside the others and ask it for a second of sound.
        3. Load it. Triton goes on serving the other versions, also if it cannot load this one.
        4. Ask it for two windows: the answers must be finite and within their limits. If not, unload it.
        5. Write both into the configurations, so that Triton loads them again when it restarts.

        Raises:
            VersionRefusedError: It may not be served.
            ServingError: Triton does not answer.
        """
        served = await self._client.versions(MMCI)
        # 1.
        await self._check_files(version, served)
        # 2.
        encoders = await self._load_encoder(version)
        # 3.
        if version not in served:
            try:
                await self._serve([*served, version])
            except ModelRejectedError as error:
                await self._serve_encoders(encoders)
                raise VersionRefusedError(f"Triton cannot load version {version} of mmci ({error}); the others are served on") from None
        # 4.
        problem = await self._answers(version)
        if problem is not None:
            if version not in served:
                await self._serve(served)
                await self._serve_encoders(encoders)
            raise VersionRefusedError(f"version {version} of mmci {problem}; it is not served")
        # 5.
        await asyncio.to_thread(load_encoders_at_start, self._encoders, sorted({*encoders, *self._own(version)}, key=int))
        await asyncio.to_thread(load_at_start, self._directory, sorted({*served, version}, key=int))
        return await self._models.named(version)

    async def promote(self, version: str, *, force: bool = False) -> InForce:
        """Let new epochs get a version; load it before if need be.

        Args:
            version: The version.
            force: Whether to promote it although it has not passed its gates.

        Raises:
            VersionRefusedError: It is not there, has not passed its gates, or may not be served.
            ServingError: Triton does not answer.
            RedisUnusableError: Redis does not answer.
        """
        self._require_folder(version)
        problem = await asyncio.to_thread(gates_problem, self._directory / version)
        if problem is not None and not force:
            raise VersionRefusedError(f"{problem}; promote it all the same with --force")
        default = await self._models.default_version()
        await self.load(version)
        promoted = await self._promotions.promote(version, default)
        log.info("model_promoted", version=version, before=promoted.previous, forced=problem is not None)
        return promoted

    async def roll_back(self) -> InForce:
        """Let new epochs get the version before again. It is still loaded, unless it was retired; then it is loaded first.

        Raises:
            VersionRefusedError: There is no version before, or it may not be served.
            ServingError: Triton does not answer.
            RedisUnusableError: Redis does not answer.
        """
        before = await self._promotions.in_force()
        if before.previous is None:
            raise VersionRefusedError("there is no version to go back to: none was promoted since the last rollback")
        if before.previous not in await self._client.versions(MMCI):
            await self.load(before.previous)
        rolled_back = await self._promotions.roll_back()
        if rolled_back is None:
            raise VersionRefusedError("there is no version to go back to: another rollback was faster")
        log.info("model_rolled_back", version=rolled_back.version, before=before.version)
        return rolled_back

    async def retire(self, version: str, *, force: bool = False) -> None:
        """Let Triton serve a version no longer. Its files stay.

        Args:
            version: The version.
            force: Whether to retire it although open epochs keep it: their windows wait until it is loaded again.

        Raises:
            VersionRefusedError: It is in force, or kept by open epochs.
            ServingError: Triton does not answer.
            RedisUnusableError: Redis does not answer.
        """
        status = await self.status()
        if version == status.in_force:
            raise VersionRefusedError(f"version {version} is in force; promote another version, or roll back, before you retire it")
        if (epochs := status.open_epochs.get(version, 0)) and not force:
            raise VersionRefusedError(f"{epochs} open epochs keep version {version}; retire it when they are over, or with --force")
        if version in status.loaded:
            left = [other for other in status.loaded if other != version]
            await self._serve(left)
            await asyncio.to_thread(load_at_start, self._directory, left)
            # By the served configuration: the files of a served version may be gone.
            encoders = [VERSION, *(await self._client.audio_encoders()).values()]
            await self._serve_encoders(encoders)
            await asyncio.to_thread(load_encoders_at_start, self._encoders, encoders)
            log.info("model_retired", version=version)

    def _require_folder(self, version: str) -> None:
        if not (self._directory / version).is_dir():
            raise VersionRefusedError(f"there is no version {version} of mmci: {self._directory} has no folder of that name")

    async def _check_files(self, version: str, served: Sequence[str]) -> None:
        self._require_folder(version)
        report = await asyncio.to_thread(check_model, self._directory, version)
        if not report.ok:
            raise VersionRefusedError(f"version {version} of mmci: {'; '.join(report.problems)}")
        foreign = await foreign_model(self._settings, self._client, MMCI)
        if foreign is not None:
            raise VersionRefusedError(foreign.text)
        digest = (await self._client.digests(MMCI)).get(version, "")
        if version in served and digest and not report.sha256.startswith(digest):
            raise VersionRefusedError(
                f"Triton serves version {version} of mmci with other weights ({digest}) than the repository: a version never changes; "
                "give new weights a new number"
            )

    async def _serve(self, versions: Sequence[str]) -> None:
        """Let Triton serve exactly these versions. Digests that it knows are kept: the file of a served version may be gone."""
        known = await self._client.digests(MMCI)
        new = [version for version in versions if version not in known]
        digests = {**known, **await asyncio.to_thread(digests_of, self._directory, new)}
        own = {**await self._client.audio_encoders(), **own_encoders(self._directory, new)}
        await self._client.load_versions(MMCI, {version: digests[version] for version in versions}, LOAD_TIMEOUT_S, own)

    def _own(self, version: str) -> list[str]:
        """The version of the audio encoder that a version has of its own."""
        return [*own_encoders(self._directory, [version]).values()]

    async def _load_encoder(self, version: str) -> list[str]:
        """Let Triton serve the audio encoder that a version was trained with, beside those that it serves; return those."""
        served = list(await self._client.versions(AUDIO_ENCODER))
        for own in self._own(version):
            projection = self._directory / version / PROJECTION
            try:
                if own in served and not await asyncio.to_thread(is_built, self._encoders, own, projection):
                    raise VersionRefusedError(f"{projection} is not the one that Triton serves: a version never changes")
                await asyncio.to_thread(build_audio_encoder, self._encoders, own, projection)
                if own not in served:
                    await self._client.load_versions(AUDIO_ENCODER, dict.fromkeys([*served, own], ""), LOAD_TIMEOUT_S)
                async with asyncio.timeout(CANARY_TIMEOUT_S):
                    await self._models.encode_audio(np.zeros((1, MEL_BINS, MEL_FRAMES), np.float32), own)
            except (WeightsError, OSError, TimeoutError, ModelRejectedError) as error:
                await self._serve_encoders(served)
                raise VersionRefusedError(
                    f"version {version} of mmci was trained with an audio encoder of its own, and that cannot be served "
                    f"({error or 'it does not answer'}); the others are served on"
                ) from None
        return served

    async def _serve_encoders(self, versions: Sequence[str]) -> None:
        """Let Triton serve exactly these versions of the audio encoder."""
        if set(versions) != set(await self._client.versions(AUDIO_ENCODER)):
            await self._client.load_versions(AUDIO_ENCODER, dict.fromkeys(versions, ""), LOAD_TIMEOUT_S)

    async def _answers(self, version: str) -> str | None:
        """What is wrong with a version's answers, as the end of a sentence; None if nothing is."""
        for inputs in canary_windows():
            try:
                async with asyncio.timeout(CANARY_TIMEOUT_S):
                    answer = await self._models.infer(inputs, version)
            except TimeoutError:
                return f"does not answer within {CANARY_TIMEOUT_S:g} s"
            except ServingError as error:
                return f"gives no valid answer ({error})"
            if np.abs(answer.scores).max() > SCORE_LIMIT + SUM_TOLERANCE:
                return f"gives scores beyond {SCORE_LIMIT:g}"
            if np.abs(answer.probabilities.sum(axis=-1) - 1).max() > SUM_TOLERANCE:
                return "gives probabilities that do not add up to 1"
        return None
