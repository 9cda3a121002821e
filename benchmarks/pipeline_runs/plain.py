"""The pipeline that both peers run: windows in a dictionary, the model in torch, one window at a time, and no delivery guarantees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.pipeline_runs.plain_encoders import PlainEncoders
from benchmarks.pipeline_runs.plain_windows import SessionState
from stream.config.settings import Settings
from stream.domain.features import Floats
from stream.domain.inference import INPUT_NAMES, Inference, WindowInputs
from stream.domain.kafka_records import parse_chunk
from stream.domain.modality import Modality
from stream.domain.result import ExplanationRecord, ModelVersion, ScoreRecord
from stream.domain.window import Window
from stream.explain.records import final_records
from stream.model.served import OUTPUT_NAMES, WEIGHTS, ServedMMCI, load_weights

VERSION = ModelVersion("mmci", "1", "torch")


def weights_file() -> Path:
    """The weights of the model that Triton serves."""
    return Settings().triton.model_repository / "mmci" / "1" / WEIGHTS


class PlainPipeline:
    """Turns chunks into score and explanation records."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._model = load_weights(weights_file())
        self._encoders = PlainEncoders()
        self._sessions: dict[bytes, SessionState] = {}

    def on_record(
        self, modality: Modality, key: bytes, value: bytes, headers: Iterable[tuple[str, bytes]]
    ) -> list[tuple[ScoreRecord, ExplanationRecord]]:
        """The results of the windows that a record completes."""
        state = self._sessions.setdefault(key, SessionState(self._encoders))
        windows = state.add(parse_chunk(key, value, headers, modality))
        return [self._records(window, state.inputs(window)) for window in windows]

    def _records(self, window: Window, inputs: WindowInputs) -> tuple[ScoreRecord, ExplanationRecord]:
        return final_records(window, inputs, infer(self._model, [inputs])[0], VERSION, 0)


def infer(model: ServedMMCI, batch: Sequence[WindowInputs]) -> list[Inference]:
    """Run the model in torch. All windows must have the same length."""
    tensors = [torch.from_numpy(np.stack([getattr(inputs, name) for inputs in batch])) for name in INPUT_NAMES]
    with torch.inference_mode():
        return inferences([tensor.numpy() for tensor in model(*tensors)])


def inferences(tensors: Sequence[Floats]) -> list[Inference]:
    """Answers to the windows of a batch from the outputs of the model, in the order of `OUTPUT_NAMES`."""
    outputs = dict(zip(OUTPUT_NAMES, tensors, strict=True))
    return [
        Inference(
            scores=outputs["coalition_scores"][row],
            probabilities=outputs["coalition_probabilities"][row],
            causal=outputs["causal"][row],
            relevance=outputs["relevance"][row],
            to_review=bool(outputs["to_review"][row, 0]),
            arousal=float(outputs["arousal"][row, 0]),
            word_effects=outputs["word_effects"][row],
        )
        for row in range(len(outputs["relevance"]))
    ]
