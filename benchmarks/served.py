"""How fast the served models are in ONNX Runtime: on one core, and on a GPU.

    python -m benchmarks.served [--quick]        on one core
    python -m benchmarks.served --gpu [--quick]  on one core and on the first GPU

The inputs are windows of four seconds with as many words, audio segments, frames and past windows as fit; `mmci` computes all sixteen
coalitions of each window. Every figure is the median of several runs. Inputs and outputs are in the host's memory, as in Triton. ``--gpu``
needs CUDA builds of ONNX Runtime (``onnxruntime-gpu`` instead of ``onnxruntime``) and of torch. It also runs `mmci` in torch, and reports
how far the GPU's answers are from the core's: with TF32, the reduced precision that is ONNX Runtime's default, and without it.

Progress goes to stderr; the last line of stdout is one JSON object: ``rows`` (model, runtime, batch, items per second) and ``differences``
(the largest difference between two corresponding numbers of the answers).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field

import numpy as np
import onnxruntime
import torch
from rich.console import Console

from benchmarks.machine import machine, versions
from stream.config.project import PROJECT_ROOT
from stream.domain.features import Floats
from stream.domain.inference import INPUT_NAMES
from stream.domain.media_format import AUDIO_PER_SECOND, FACE_SIZE, MEL_BINS, MEL_FRAMES, VIDEO_PER_SECOND, WORDS_PER_SECOND
from stream.model.served import WEIGHTS, example_inputs, load_weights
from stream.model_repository.repository import build_encoders

REPOSITORY = PROJECT_ROOT / "triton_models"
MMCI = "mmci"
BATCHES = (8, 32, 128)
"""For comparison: the service sends at most 16 windows at once, and the model repository allows 32."""

WINDOW_S = 4
TOKENS = 20
RUNS = 5

CPU = "cpu"
PROVIDERS: dict[str, str | tuple[str, dict[str, str]]] = {
    CPU: "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cuda without TF32": ("CUDAExecutionProvider", {"use_tf32": "0"}),
}

Feed = dict[str, Floats]
Answer = Callable[[Feed], list[Floats]]
console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Row:
    """Speed of one model on one runtime with one size of batch."""

    model: str
    runtime: str
    batch: int
    per_second: float


@dataclass(slots=True)
class Measurements:
    """Speed of all models, and the largest difference of a GPU's answers from the core's, by model and runtime."""

    rows: list[Row] = field(default_factory=list)
    differences: dict[str, dict[str, float]] = field(default_factory=dict)


def feeds(batch: int) -> dict[str, Feed]:
    """Inputs for each model, with the given batch size."""
    rng = np.random.default_rng(0)
    rows = (WINDOW_S * WORDS_PER_SECOND, WINDOW_S * AUDIO_PER_SECOND, WINDOW_S * VIDEO_PER_SECOND)
    windows = example_inputs(batch, *rows, torch.Generator().manual_seed(0))
    tokens = {name: np.ones((batch, TOKENS), dtype=np.int64) for name in ("attention_mask", "token_type_ids")}
    return {
        MMCI: {name: tensor.numpy() for name, tensor in zip(INPUT_NAMES, windows, strict=True)},
        "text_encoder": tokens | {"input_ids": rng.integers(1_000, 20_000, (batch, TOKENS))},
        "audio_encoder": {"log_mel": rng.standard_normal((batch, MEL_BINS, MEL_FRAMES)).astype(np.float32)},
        "face_encoder": {"face": rng.standard_normal((batch, 1, FACE_SIZE, FACE_SIZE)).astype(np.float32)},
    }


def in_onnxruntime(model: str, runtime: str) -> Answer:
    """Load a model of the repository into ONNX Runtime, with one thread on the host.

    Raises:
        RuntimeError: If ONNX Runtime fell back from the GPU to the CPU.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(REPOSITORY / model / "1" / "model.onnx"), options, providers=[PROVIDERS[runtime]])
    if runtime != CPU and session.get_providers()[0] == PROVIDERS[CPU]:
        raise RuntimeError("ONNX Runtime cannot use the GPU: its CUDA libraries did not load (see the lines above)")
    return lambda feed: session.run(None, feed)


def in_torch(device: str) -> Answer:
    """Load `mmci` into torch."""
    served = load_weights(REPOSITORY / MMCI / "1" / WEIGHTS).to(device)

    @torch.inference_mode()
    def answer(feed: Feed) -> list[Floats]:
        return [output.cpu().numpy() for output in served(*(torch.from_numpy(feed[name]).to(device) for name in INPUT_NAMES))]

    return answer


def runtimes(*, gpu: bool) -> Iterator[tuple[str, str, Answer]]:
    """Model, runtime and a function that computes its answers. The core comes before the GPU, as its answers are the reference."""
    for model in feeds(1):
        for runtime in PROVIDERS if gpu else (CPU,):
            yield model, runtime, in_onnxruntime(model, runtime)
    if gpu:
        yield MMCI, "torch on cuda", in_torch("cuda")


def rate(answer: Answer, feed: Feed, batch: int, seconds: float) -> float:
    """Items per second: median of several runs."""
    rates = []
    for _ in range(RUNS):
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            answer(feed)
            count += batch
        rates.append(count / (time.perf_counter() - started))
    return statistics.median(rates)


def measure(*, gpu: bool, seconds: float) -> Measurements:
    """Measure every model on every runtime."""
    measurements = Measurements()
    by_batch = {batch: feeds(batch) for batch in BATCHES}
    reference: dict[str, list[Floats]] = {}
    for model, runtime, answer in runtimes(gpu=gpu):
        for batch in BATCHES:
            feed = by_batch[batch][model]
            outputs = answer(feed)
            measurements.rows.append(Row(model, runtime, batch, round(rate(answer, feed, batch, seconds), 1)))
            console.print(f"{model}, {runtime}, batches of {batch}: {measurements.rows[-1].per_second:,.0f} per second")
        if runtime == CPU:
            reference[model] = outputs
            continue
        difference = max(float(np.abs(expected - output).max()) for expected, output in zip(reference[model], outputs, strict=True))
        measurements.differences.setdefault(model, {})[runtime] = difference
        console.print(f"{model}, {runtime}: at most {difference:.1e} from the core's answer")
    return measurements


def main() -> int:
    """Measure and print the result."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.served", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    parser.add_argument("--gpu", action="store_true", help="also measure on the first GPU")
    options = parser.parse_args()
    if options.gpu and not (torch.cuda.is_available() and "CUDAExecutionProvider" in onnxruntime.get_available_providers()):
        parser.error("--gpu needs an NVIDIA GPU, a CUDA build of torch, and onnxruntime-gpu instead of onnxruntime")
    onnxruntime.set_default_logger_severity(3)
    build_encoders(REPOSITORY)
    measurements = measure(gpu=options.gpu, seconds=0.2 if options.quick else 0.5)
    runtime = "onnxruntime-gpu" if options.gpu else "onnxruntime"
    hardware = machine() | ({"gpu": torch.cuda.get_device_name()} if options.gpu else {})
    print(json.dumps({"benchmark": "served", **asdict(measurements), "machine": hardware, "versions": versions(runtime, "torch", "numpy")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
