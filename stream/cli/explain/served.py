"""One version of the served model as functions of inputs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from stream.domain.features import Floats
from stream.domain.inference import Extra, Inference, WindowInputs
from stream.serving.models import Models


class Served:
    """Asks the models.

    Args:
        models: The served models; outages are waited out.
        version: The version of ``mmci`` that is asked.
    """

    def __init__(self, models: Models, version: str) -> None:
        self.models = models
        """The models themselves."""
        self._version = version

    async def answers(self, windows: Sequence[WindowInputs], extras: frozenset[Extra] = frozenset()) -> list[Inference]:
        """The model's answer to each window."""
        return list(await asyncio.gather(*(self.models.infer(inputs, self._version, extras) for inputs in windows)))

    async def voice(self, log_mel: Floats) -> Floats:
        """(n, 10, `VOICE_WIDTH`) embeddings of the segments of n seconds of sound (n, 80, 100)."""
        return await self.models.encode_audio(log_mel, await self.models.audio_encoder(self._version))
