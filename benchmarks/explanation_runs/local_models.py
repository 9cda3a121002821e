"""The served ONNX files in this process: a client of the models that needs no server, and the encoder of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy.typing as npt

from stream.config.service_settings import TritonSettings
from stream.domain.features import Floats
from stream.encoders.text import default_tokenizer, pool_words
from stream.model_repository.repository import build_encoders
from stream.model_repository.served_models import TEXT_ENCODER
from stream.serving.client import ModelAnswer, TritonClient
from stream.serving.models import Models
from stream.training.inference import session

Array = npt.NDArray[Any]


class LocalClient:
    """Answers as Triton does, with the same files in ONNX Runtime. The encoders' files are built where they are missing."""

    def __init__(self, repository: Path) -> None:
        build_encoders(repository)
        self._repository = repository
        self._sessions: dict[str, Any] = {}

    async def infer(self, model: str, inputs: Mapping[str, Array], outputs: Sequence[str], version: str = "") -> ModelAnswer:
        """Run a model once, as `TritonClient.infer`. There is one version of each."""
        return ModelAnswer(self.run(model, inputs, outputs), version or "1")

    def run(self, model: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Run a model once."""
        if model not in self._sessions:
            self._sessions[model] = session(self._repository / model / "1" / "model.onnx")
        return dict(zip(outputs, self._sessions[model].run([*outputs], dict(inputs)), strict=True))

    async def close(self) -> None:
        """Nothing is open."""

    def models(self) -> Models:
        """The product's encoders on this client. To be made inside a running event loop."""
        return Models(TritonSettings(), client=cast("TritonClient", self))

    def word_states(self, words_before: Sequence[str], words: Sequence[str]) -> Floats:
        """(n, 384) states of words, encoded after the earlier words of their sentence, as the worker does."""
        tokenised = default_tokenizer().tokenise([*words_before, *words])
        inputs = {name: getattr(tokenised, name)[None] for name in ("input_ids", "attention_mask", "token_type_ids")}
        hidden = self.run(TEXT_ENCODER, inputs, ["last_hidden_state"])["last_hidden_state"][0]
        return pool_words(hidden, tokenised)[len(words_before) :]
