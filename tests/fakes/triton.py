"""A Triton client whose answers the test defines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from stream.model_repository.served_models import AUDIO_ENCODER, MMCI
from stream.serving import client
from stream.serving.errors import TritonUnavailableError
from stream.serving.signatures import SIGNATURES, Signature

Arrays = Mapping[str, npt.NDArray[Any]]
Answer = Callable[[str, Arrays], dict[str, npt.NDArray[Any]]]


class FakeTritonClient:
    """Passes each call to `answer`, which may raise an error, and records the calls."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.calls: list[tuple[str, Arrays]] = []
        self.outputs: list[tuple[str, ...]] = []
        """The outputs that each call asked for."""
        self.loaded: dict[str, str] = {"1": "0123456789ab"}
        """The loaded versions of ``mmci``, and their digests."""
        self.loaded_encoders = {"1"}
        """The loaded versions of the audio encoder."""
        self.own_encoders: dict[str, str] = {}
        """By version of ``mmci`` that has one of its own, its version of the audio encoder."""
        self.encoders_asked: list[str] = []
        """The version of each request to the audio encoder."""

    async def infer(self, model: str, inputs: Arrays, outputs: Sequence[str], version: str = "") -> client.ModelAnswer:
        """The answer, reduced to the wanted outputs. Raises `TritonUnavailableError` for a version of ``mmci`` that is not loaded."""
        self.calls.append((model, inputs))
        self.outputs.append(tuple(outputs))
        if model == MMCI and version not in self.loaded:
            raise TritonUnavailableError(f"NOT_FOUND: version {version} is not loaded")
        if model == AUDIO_ENCODER:
            self.encoders_asked.append(version)
            if version not in self.loaded_encoders:
                raise TritonUnavailableError(f"NOT_FOUND: version {version} is not loaded")
        answer = self._answer(model, inputs)
        return client.ModelAnswer({name: answer[name] for name in outputs}, version or "1")

    async def versions(self, model: str) -> tuple[str, ...]:
        """The loaded versions."""
        return tuple(sorted(self.loaded_encoders) if model == AUDIO_ENCODER else self.loaded)

    async def audio_encoder(self, version: str) -> str | None:
        """The version of the audio encoder that goes with a version of ``mmci``; None if that is not loaded."""
        return self.own_encoders.get(version, "1") if version in self.loaded else None

    async def digests(self, _model: str) -> Mapping[str, str]:
        """The digests of the loaded versions."""
        return self.loaded

    async def signature(self, model: str) -> Signature:
        """The tensors of this release's model."""
        return SIGNATURES[model]
