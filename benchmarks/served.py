"""How fast the served models are on one core in ONNX Runtime.

python -m benchmarks.served [--quick]     one JSON object as the last line

Windows of four seconds with all the words, sounds, frames and past windows that they have room for, in batches of eight; `mmci` answers all
eight coalitions of each. ``per_second``: items of each model, the median of several runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

import numpy as np
import onnxruntime
import torch
from rich.console import Console

from benchmarks.machine import machine, versions
from stream.config.settings import PROJECT_ROOT
from stream.domain.features import Floats
from stream.encoders.shapes import FACE_SIZE, MEL_BINS, MEL_FRAMES
from stream.model.served import INPUT_NAMES, example_inputs
from stream.training.features import session, text_weights
from stream.training.windows import AUDIO, VIDEO, WORDS

REPOSITORY = PROJECT_ROOT / "triton_models"
BATCH = 8
TOKENS = 20

Feed = dict[str, Floats]
console = Console(stderr=True)


def feeds(rng: np.random.Generator) -> dict[str, Feed]:
    """A batch for each model."""
    windows = example_inputs(BATCH, WORDS, AUDIO, VIDEO, torch.Generator().manual_seed(0))
    tokens = {name: np.ones((BATCH, TOKENS), dtype=np.int64) for name in ("attention_mask", "token_type_ids")}
    return {
        "mmci": {name: tensor.numpy() for name, tensor in zip(INPUT_NAMES, windows, strict=True)},
        "text_encoder": tokens | {"input_ids": rng.integers(1_000, 20_000, (BATCH, TOKENS))},
        "audio_encoder": {"log_mel": rng.standard_normal((BATCH, MEL_BINS, MEL_FRAMES)).astype(np.float32)},
        "face_encoder": {"face": rng.standard_normal((BATCH, 1, FACE_SIZE, FACE_SIZE)).astype(np.float32)},
    }


def rate(model: onnxruntime.InferenceSession, feed: Feed, seconds: float, runs: int = 5) -> float:
    """Items a second, the median of some runs."""
    model.run(None, feed)
    found = []
    for _ in range(runs):
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            model.run(None, feed)
            count += BATCH
        found.append(count / (time.perf_counter() - started))
    return statistics.median(found)


def main() -> int:
    """Measure, show, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter runs: ten seconds in all")
    seconds = 0.2 if parser.parse_args().quick else 1.0
    text_weights(REPOSITORY)
    found: dict[str, float] = {}
    for name, feed in feeds(np.random.default_rng(0)).items():
        found[name] = round(rate(session(REPOSITORY / name / "1" / "model.onnx"), feed, seconds), 1)
        console.print(f"{name}: {found[name]:,.0f} a second")
    print(
        json.dumps(
            {"benchmark": "served", "batch": BATCH, "per_second": found, "machine": machine(), "versions": versions("onnxruntime", "numpy")}
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
