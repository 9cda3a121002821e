"""How fast the served models are in ONNX Runtime: on one core, and on a GPU.

    python -m benchmarks.served [--quick]        on one core
    python -m benchmarks.served --gpu [--quick]  and on the first GPU, beside it

Windows of four seconds with all the words, sounds, frames and past windows that they have room for; `mmci` answers all eight coalitions of
each. Every figure is the median of several runs, inputs and outputs in the host's memory, as Triton has them. ``--gpu`` needs CUDA builds
of ONNX Runtime (``onnxruntime-gpu`` in the place of ``onnxruntime``) and of torch; it also runs `mmci` in torch, and says how far the GPU's
answers are from the core's, with the shortened products (TF32) that are ONNX Runtime's default, and without.

Progress is on stderr; the last line of stdout is one JSON object: ``rows`` (model, runtime, batch, items a second) and ``differences`` (the
largest between any two numbers of an answer).
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
from stream.config.settings import PROJECT_ROOT
from stream.domain.features import Floats
from stream.domain.media_format import AUDIO_PER_SECOND, FACE_SIZE, MEL_BINS, MEL_FRAMES, VIDEO_PER_SECOND, WORDS_PER_SECOND
from stream.model.served import INPUT_NAMES, WEIGHTS, example_inputs, load_weights
from stream.model_repository.text_weights import build_text_encoder

REPOSITORY = PROJECT_ROOT / "triton_models"
MMCI = "mmci"
BATCHES = (8, 32, 128)
"""The service asks for at most 16 windows at once, and the repository allows 32."""

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
    """One model on one runtime."""

    model: str
    runtime: str
    batch: int
    per_second: float


@dataclass(slots=True)
class Found:
    """All that was measured."""

    rows: list[Row] = field(default_factory=list)
    differences: dict[str, dict[str, float]] = field(default_factory=dict)


def feeds(batch: int) -> dict[str, Feed]:
    """A batch for each model."""
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


def onnx(model: str, runtime: str) -> Answer:
    """A model of the repository in ONNX Runtime, on one thread of the host.

    Raises:
        RuntimeError: If ONNX Runtime fell back to another processor.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(REPOSITORY / model / "1" / "model.onnx"), options, providers=[PROVIDERS[runtime]])
    if runtime != CPU and session.get_providers()[0] == PROVIDERS[CPU]:
        raise RuntimeError("ONNX Runtime cannot use the GPU: its CUDA libraries did not load (see the lines above)")
    return lambda feed: session.run(None, feed)


def on_torch(device: str) -> Answer:
    """`mmci` in torch."""
    served = load_weights(REPOSITORY / MMCI / "1" / WEIGHTS).to(device)

    @torch.inference_mode()
    def answer(feed: Feed) -> list[Floats]:
        return [output.cpu().numpy() for output in served(*(torch.from_numpy(feed[name]).to(device) for name in INPUT_NAMES))]

    return answer


def runtimes(*, gpu: bool) -> Iterator[tuple[str, str, Answer]]:
    """Model, runtime and how to ask it; the core before the GPU."""
    for model in feeds(1):
        for runtime in PROVIDERS if gpu else (CPU,):
            yield model, runtime, onnx(model, runtime)
    if gpu:
        yield MMCI, "torch on cuda", on_torch("cuda")


def rate(answer: Answer, feed: Feed, batch: int, seconds: float) -> float:
    """Items a second, the median of some runs."""
    found = []
    for _ in range(RUNS):
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            answer(feed)
            count += batch
        found.append(count / (time.perf_counter() - started))
    return statistics.median(found)


def measure(*, gpu: bool, seconds: float) -> Found:
    """Every model on every runtime."""
    found = Found()
    by_batch = {batch: feeds(batch) for batch in BATCHES}
    exact: dict[str, list[Floats]] = {}
    for model, runtime, answer in runtimes(gpu=gpu):
        for batch in BATCHES:
            feed = by_batch[batch][model]
            outputs = answer(feed)
            found.rows.append(Row(model, runtime, batch, round(rate(answer, feed, batch, seconds), 1)))
            console.print(f"{model}, {runtime}, {batch} at once: {found.rows[-1].per_second:,.0f} a second")
        if runtime == CPU:
            exact[model] = outputs
            continue
        away = max(float(np.abs(ours - theirs).max()) for ours, theirs in zip(exact[model], outputs, strict=True))
        found.differences.setdefault(model, {})[runtime] = away
        console.print(f"{model}, {runtime}: at most {away:.1e} from the core's answer")
    return found


def main() -> int:
    """Measure, show, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.served", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    parser.add_argument("--gpu", action="store_true", help="also on the first GPU")
    options = parser.parse_args()
    if options.gpu and not (torch.cuda.is_available() and "CUDAExecutionProvider" in onnxruntime.get_available_providers()):
        parser.error("--gpu needs an NVIDIA GPU, a CUDA build of torch, and onnxruntime-gpu in the place of onnxruntime")
    onnxruntime.set_default_logger_severity(3)
    build_text_encoder(REPOSITORY / "text_encoder")
    found = measure(gpu=options.gpu, seconds=0.2 if options.quick else 0.5)
    runtime = "onnxruntime-gpu" if options.gpu else "onnxruntime"
    where = machine() | ({"gpu": torch.cuda.get_device_name()} if options.gpu else {})
    print(json.dumps({"benchmark": "served", **asdict(found), "machine": where, "versions": versions(runtime, "torch", "numpy")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
