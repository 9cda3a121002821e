"""What the served models cost: CPU time for each second of a session with sound, a face and words.

    python -m benchmarks.cost [--quick]

A second of a session has a block of sound and five faces; every two seconds (`windows.hop_ms`) a window is scored, with a text of 16
tokens. `finals` counts this much. `with_partials` adds the partial results of open windows, one for each `windows.partial_every_ms`, each
with its text. Rows come alone, as in a single session (where the five faces of a chunk share a request), or 16 together, as from many.

Every row is measured in ONNX Runtime on one thread (the least of many runs, since machines are shared), and through the embedded Triton:
then it is the CPU time of the client, the server and the processes that run the models (the median of several runs).

The last line of stdout is one JSON object: ``row_ms`` (where, batch, model) and ``session_second_ms`` (where, batch, what counts).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import onnxruntime
from rich.console import Console

from benchmarks.machine import machine, versions
from benchmarks.pipeline_runs.meter import read
from benchmarks.served import REPOSITORY, feeds
from stream.config.media_settings import WindowSettings
from stream.local.triton import TritonServer
from stream.model.served import OUTPUT_NAMES
from stream.model_repository.repository import build_encoders
from stream.model_repository.served_models import AUDIO_ENCODER, FACE_ENCODER, MAX_ROWS, MMCI, TEXT_ENCODER
from stream.serving.client import TritonClient

OUTPUTS: dict[str, list[str]] = {
    AUDIO_ENCODER: ["embedding"],
    FACE_ENCODER: ["embedding"],
    TEXT_ENCODER: ["last_hidden_state"],
    MMCI: [*OUTPUT_NAMES],
}
"""What workers ask for."""

WINDOWS_PER_S = 1000 / WindowSettings().hop_ms
PARTIALS_PER_S = 1000 / WindowSettings().partial_every_ms
FINALS: dict[str, float] = {AUDIO_ENCODER: 1.0, FACE_ENCODER: 5.0, TEXT_ENCODER: WINDOWS_PER_S, MMCI: WINDOWS_PER_S}
"""Rows of a session-second."""

WITH_PARTIALS = FINALS | dict.fromkeys((TEXT_ENCODER, MMCI), WINDOWS_PER_S + PARTIALS_PER_S)
BATCHES: dict[str, dict[str, int]] = {
    "alone": {AUDIO_ENCODER: 1, FACE_ENCODER: 5, TEXT_ENCODER: 1, MMCI: 1},
    "together": dict.fromkeys(OUTPUTS, MAX_ROWS),
}
TOKENS = 16
RUNS = 3

Feed = dict[str, npt.NDArray[np.generic]]
console = Console(stderr=True)


def feed(model: str, batch: int) -> Feed:
    """Inputs of one model."""
    inputs = feeds(batch)[model]
    return {name: array[:, :TOKENS] if model == TEXT_ENCODER else array for name, array in inputs.items()}


def in_onnxruntime(model: str, batch: int, seconds: float) -> float:
    """CPU milliseconds of a row on one thread: the least of many runs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(REPOSITORY / model / "1" / "model.onnx", options, providers=["CPUExecutionProvider"])
    inputs, least, began = feed(model, batch), np.inf, time.perf_counter()
    while time.perf_counter() - began < seconds:
        before = time.process_time()
        session.run(OUTPUTS[model], inputs)
        least = min(least, time.process_time() - before)
    return least * 1000 / batch


async def through_triton(client: TritonClient, model: str, batch: int, seconds: float) -> float:
    """CPU milliseconds of a row in all processes: the median of several runs."""
    inputs, parts = feed(model, batch), {"all": [os.getpid()]}
    results = []
    for _ in range(RUNS):
        rows, began, before = 0, time.perf_counter(), read(parts).cpu_s["all"]
        while time.perf_counter() - began < seconds:
            await client.infer(model, inputs, OUTPUTS[model])
            rows += batch
        results.append((read(parts).cpu_s["all"] - before) * 1000 / rows)
    return median(results)


async def measure(seconds: float) -> dict[str, dict[str, dict[str, float]]]:
    """CPU milliseconds of a row, by where, batch and model."""
    found: dict[str, dict[str, dict[str, float]]] = {where: {kind: {} for kind in BATCHES} for where in ("onnxruntime", "triton")}
    for kind, batches in BATCHES.items():
        for model, batch in batches.items():
            found["onnxruntime"][kind][model] = in_onnxruntime(model, batch, seconds)
    with tempfile.TemporaryDirectory() as directory:
        server = TritonServer(REPOSITORY, Path(directory))
        await server.start()
        client = TritonClient(server.grpc_url, 60.0)
        try:
            for kind, batches in BATCHES.items():
                for model, batch in batches.items():
                    await client.infer(model, feed(model, batch), OUTPUTS[model])
                    found["triton"][kind][model] = await through_triton(client, model, batch, seconds)
        finally:
            await client.close()
            await server.stop()
    return found


def total(rows: dict[str, float], counts: dict[str, float]) -> float:
    """CPU milliseconds of a session-second."""
    return round(sum(rows[model] * count for model, count in counts.items()), 2)


def main() -> None:
    """Measure and print the result."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cost", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    options = parser.parse_args()
    onnxruntime.set_default_logger_severity(3)
    build_encoders(REPOSITORY)
    row_ms = asyncio.run(measure(1.5 if options.quick else 6.0))
    seconds = {
        where: {kind: {"finals": total(rows, FINALS), "with_partials": total(rows, WITH_PARTIALS)} for kind, rows in kinds.items()}
        for where, kinds in row_ms.items()
    }
    for where, kinds in row_ms.items():
        for kind, rows in kinds.items():
            each = ", ".join(f"{model} {ms:.2f}" for model, ms in rows.items())
            console.print(f"{where}, {kind}: ms of a row: {each}; a session-second: {seconds[where][kind]['finals']:.2f}")
    rounded = {
        where: {kind: {m: round(ms, 3) for m, ms in rows.items()} for kind, rows in kinds.items()} for where, kinds in row_ms.items()
    }
    hardware, software = machine(), versions("onnxruntime", "tritonclient", "numpy")
    print(json.dumps({"benchmark": "cost", "row_ms": rounded, "session_second_ms": seconds, "machine": hardware, "versions": software}))


if __name__ == "__main__":
    main()
