"""The served graph of MMCI in ONNX Runtime, on one thread: scores of windows, and full answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.pipeline_runs.plain import inferences
from stream.domain.features import Floats
from stream.domain.inference import INPUT_NAMES, Inference, WindowInputs
from stream.model.served import OUTPUT_NAMES
from stream.training.inference import session


class ServedGraph:
    """The ONNX file of ``triton_models/mmci``."""

    def __init__(self, repository: Path) -> None:
        self._session = session(repository / "mmci" / "1" / "model.onnx")
        # Scores alone do not pay for the relevance and the probabilities: the perturbing explainers would look slower than they are.
        self._scores_alone = onnxruntime.RunOptions()
        self._scores_alone.only_execute_path_to_fetches = True

    def value(self, windows: Sequence[WindowInputs]) -> Floats:
        """(B,) scores with all modalities and the earlier windows."""
        scores: Floats = self._session.run(["coalition_scores"], _feed(windows), self._scores_alone)[0]
        return scores[:, -1]

    def answers(self, windows: Sequence[WindowInputs]) -> list[Inference]:
        """Full answers, with the relevance of the nodes."""
        return inferences(self._session.run([*OUTPUT_NAMES], _feed(windows)))


def _feed(windows: Sequence[WindowInputs]) -> dict[str, Floats]:
    return {name: np.stack([getattr(inputs, name) for inputs in windows]) for name in INPUT_NAMES}
