"""The ceiling: the model called directly, in this process, on windows that are there already."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import onnxruntime
import torch

from benchmarks.pipeline_runs import media
from benchmarks.pipeline_runs.plain import Collected, infer, weights
from stream.domain.chunk import Chunk, ChunkHeader
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.inference import WindowInputs
from stream.model.served import INPUT_NAMES, OUTPUT_NAMES, load_weights

ROUNDS = 7


def cpu_s_per_window(batch: int, windows: int) -> dict[str, float]:
    """Median over rounds of the CPU seconds a window takes in torch and in ONNX Runtime, with so many in a batch."""
    torch.set_num_threads(1)
    batches = [_windows(batch) for _ in range(max(1, windows // batch))]
    model = load_weights(weights())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(weights().with_name("model.onnx"), options, providers=["CPUExecutionProvider"])

    def in_onnxruntime(inputs: list[WindowInputs]) -> object:
        return session.run(list(OUTPUT_NAMES), {name: np.stack([getattr(one, name) for one in inputs]) for name in INPUT_NAMES})

    return {
        "torch": _median_s(lambda: [infer(model, inputs) for inputs in batches]) / (batch * len(batches)),
        "onnxruntime": _median_s(lambda: [in_onnxruntime(inputs) for inputs in batches]) / (batch * len(batches)),
    }


def _median_s(work: Callable[[], object]) -> float:
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return statistics.median(found)


def _windows(count: int) -> list[WindowInputs]:
    """Windows like those that the pipeline sees."""
    track, collected, found = TrackKey(SessionKey("bench", "ceiling"), "customer"), Collected(), list[WindowInputs]()
    second = 0
    while len(found) < count:
        for modality, (content_type, payload) in media.encoded(second).items():
            header = ChunkHeader("x", "benchmark", track, "customer", modality, second, 0, second * 1000, 1000, 0, content_type)
            found += [collected.inputs(window) for window in collected.add(Chunk(header, payload))]
        second += 1
    return found[:count]
