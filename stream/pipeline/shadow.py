"""Shadow mode: another version of ``mmci`` scores a share of the windows, too. Only metrics see its answers, never a record."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace
from prometheus_client import Counter

from stream.aio.tasks import TaskSet
from stream.config.media_settings import ModelSettings
from stream.domain.inference import WindowInputs
from stream.domain.result import ScoreRecord
from stream.domain.sampling import in_share
from stream.domain.window import Window
from stream.explain.records import final_records
from stream.pipeline.metrics import Metrics
from stream.serving.errors import ServingError
from stream.serving.models import Models

AT_ONCE = 4
"""Windows that the shadow version scores at a time. Further ones of the share count as failures: no published window may wait for them."""
TIMEOUT_S = 10.0


class Shadow:
    """Compares the answers of a version with those that were published.

    Args:
        models: The MMCI model.
        settings: Which version, and for which share of the windows.
        metrics: Receives differences, changed labels and failures.
    """

    def __init__(self, models: Models, settings: ModelSettings, metrics: Metrics) -> None:
        self._models = models
        self._version = settings.shadow_version
        self._share = settings.shadow_share
        self._metrics = metrics
        self._running = TaskSet(lambda _error: self._count(metrics.shadow_failures))

    def compare(self, window: Window, inputs: WindowInputs, published: ScoreRecord) -> None:
        """Have a window scored in the background, if it is in the share, has a score, and was scored by another version."""
        version = self._version
        if version is None or published.score is None or published.model.version == version or not in_share(window.id, self._share):
            return
        if len(self._running) >= AT_ONCE:
            self._count(self._metrics.shadow_failures)
        else:
            self._running.spawn(self._compare(window, inputs, published, version))

    async def finished(self) -> None:
        """Wait until the windows that are being scored now are compared."""
        await self._running.join()

    def close(self) -> None:
        """Drop the windows that are not compared yet."""
        self._running.cancel()

    async def _compare(self, window: Window, inputs: WindowInputs, published: ScoreRecord, version: str) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                inference = await self._models.try_infer(inputs, version)
                comparable = not inputs.audio_mask.any() or await self._hears_the_same(version, published.model.version)
        except (ServingError, TimeoutError):
            comparable = False
        if not comparable:
            self._count(self._metrics.shadow_failures)
            return
        # The score and the label as they would be published: rounded, and restricted to what is present.
        shadow, _ = final_records(window, inputs, inference, replace(published.model, version=version), published.allowed_lateness_ms)
        self._count(self._metrics.shadow_windows)
        self._count(self._metrics.shadow_difference, abs((shadow.score or 0.0) - (published.score or 0.0)))
        self._count(self._metrics.shadow_label_changes, int(shadow.label != published.label))

    async def _hears_the_same(self, *versions: str) -> bool:
        """Whether versions have the same audio encoder: otherwise the voice was encoded for one of them alone."""
        return len({await self._models.audio_encoder(version) for version in versions}) == 1

    def _count(self, counter: Counter, amount: float = 1.0) -> None:
        counter.labels(self._version).inc(amount)
