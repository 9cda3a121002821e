"""The ceiling: this process calls the model directly, on windows that were prepared beforehand."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import onnxruntime
import torch

from benchmarks.pipeline_runs.plain import infer, weights_file
from benchmarks.pipeline_runs.plain_windows import sample_windows
from stream.domain.inference import INPUT_NAMES, WindowInputs
from stream.model.served import OUTPUT_NAMES, load_weights

ROUNDS = 7


def cpu_s_per_window(batch: int, windows: int) -> dict[str, float]:
    """CPU seconds per window in torch and in ONNX Runtime: median of the rounds.

    Args:
        batch: Windows in one call of the model.
        windows: Windows in one round, rounded down to whole batches.
    """
    torch.set_num_threads(1)
    batches = [sample_windows(batch) for _ in range(max(1, windows // batch))]
    model = load_weights(weights_file())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(weights_file().with_name("model.onnx"), options, providers=["CPUExecutionProvider"])

    def run_onnxruntime(inputs: list[WindowInputs]) -> object:
        return session.run(list(OUTPUT_NAMES), {name: np.stack([getattr(window, name) for window in inputs]) for name in INPUT_NAMES})

    return {
        "torch": _median_s(lambda: [infer(model, inputs) for inputs in batches]) / (batch * len(batches)),
        "onnxruntime": _median_s(lambda: [run_onnxruntime(inputs) for inputs in batches]) / (batch * len(batches)),
    }


def _median_s(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)
