"""A Triton client whose answers the test defines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from stream.serving.signatures import SIGNATURES, Signature

Arrays = Mapping[str, npt.NDArray[Any]]
Answer = Callable[[str, Arrays], dict[str, npt.NDArray[Any]]]


class FakeTritonClient:
    """Passes each call to `answer`, which may raise an error, and records the calls."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.calls: list[tuple[str, Arrays]] = []

    async def infer(self, model: str, inputs: Arrays, outputs: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
        """The answer, reduced to the wanted outputs."""
        self.calls.append((model, inputs))
        answer = self._answer(model, inputs)
        return {name: answer[name] for name in outputs}

    async def signature(self, model: str) -> Signature:
        """The tensors of this release's model."""
        return SIGNATURES[model]
