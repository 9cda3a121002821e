"""The audio encoder in 8 bits against the same in float32: how near its features are, and what it costs.

    python -m benchmarks.voice_int8 [--quick] [--data DIR]

`stream.model_repository.audio_graph` multiplies Whisper's matrices in 8 bits. The ranges of the rows that they are multiplied with are
measured here, with voices of the training actors of RAVDESS as they are, over a line and in a room. The features (384 numbers for each
100 ms) are compared on the test speakers of all corpora. `ms` is the CPU time of a second of sound on one core: the least of many runs,
since machines are shared.

The last line of stdout is one JSON object: ``ranges``, ``cosine`` (mean, 1st percentile, least), ``same_bytes`` (a row's answer alone and
in a batch) and ``ms`` (form, batch).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from rich.console import Console

from benchmarks.machine import machine, versions
from stream.domain.features import Floats
from stream.domain.media_format import BLOCK_SAMPLES, FEATURE_WIDTH, VOICE_WIDTH
from stream.encoders.audio import log_mel, segments
from stream.model_repository.audio_graph import RANGES, audio_graph
from stream.model_repository.audio_weights import WHISPER
from stream.model_repository.ctranslate2_file import read_variables
from stream.training.corpora import Part, Voice, read_voices
from stream.training.inference import session
from stream.training.voice import SILENCE_DBFS, trimmed, variants_of
from stream.training.voice_features import frozen_segments

BATCHES = (1, 4, 16)
VARIANTS = 3
console = Console(stderr=True)


def blocks(voices: Sequence[Voice], count: int, seed: int) -> Floats:
    """(count, 80, 100) inputs: audible seconds of some recordings, in the variants that training hears."""
    chance = np.random.default_rng(seed)
    found: list[Floats] = []
    for index in chance.permutation(len(voices)):
        for samples in variants_of(trimmed(voices[index].samples()), VARIANTS, chance):
            starts = range(0, len(samples), BLOCK_SAMPLES)
            seconds = [samples[start : start + BLOCK_SAMPLES] for start in starts]
            found += [log_mel(second) for second in seconds if segments(0, second, SILENCE_DBFS)[1].any()]
        if len(found) >= count:
            break
    return np.stack(found[:count])


def measured_ranges(content: bytes, inputs: Floats) -> dict[str, tuple[float, float]]:
    """As `RANGES`, of some inputs. `content` is the graph in float32, in which Whisper's matrices come in the order of `RANGES`."""
    model = onnx.load_from_string(content)
    constants = {tensor.name for tensor in model.graph.initializer}
    rows = [node.input[0] for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in constants][: len(RANGES)]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in rows)
    encoder = session(model.SerializeToString())
    answers = [encoder.run(rows, {"log_mel": inputs[start : start + 16]}) for start in range(0, len(inputs), 16)]
    found = zip(RANGES, zip(*answers, strict=True), strict=True)
    return {
        name: (round(float(min(part.min() for part in parts)), 2), round(float(max(part.max() for part in parts)), 2))
        for name, parts in found
    }


def cosines(one: Floats, other: Floats) -> list[float]:
    """Mean, 1st percentile and least cosine of the features (n, 10, 384) of two encoders."""
    products = (one * other).sum(axis=-1) / (np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1))
    return [round(float(number), 5) for number in (products.mean(), np.quantile(products, 0.01), products.min())]


def cpu_ms(encoder: onnxruntime.InferenceSession, inputs: Floats, seconds: float) -> float:
    """CPU time of one input in milliseconds: the least of many runs."""
    best, began = np.inf, time.perf_counter()
    while time.perf_counter() - began < seconds:
        before = time.process_time()
        encoder.run(["embedding"], {"log_mel": inputs})
        best = min(best, time.process_time() - before)
    return round(best * 1000 / len(inputs), 2)


def main() -> None:
    """Measure and print the result."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.voice_int8", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer seconds of speech and shorter runs")
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SENTISTREAM_DATA", "."), help="folder of the corpora (ravdess/, voices/)"
    )
    options = parser.parse_args()
    voices = read_voices(options.data)
    count = 64 if options.quick else 512
    whisper = read_variables(WHISPER.path(), "encoder/")
    projection = np.zeros((VOICE_WIDTH, FEATURE_WIDTH), np.float32), np.zeros(VOICE_WIDTH, np.float32)
    plain = audio_graph(whisper, *projection, "", ranges=None)
    training = [voice for voice in voices if voice.part is Part.TRAIN and voice.corpus == "ravdess"]
    ranges = measured_ranges(plain, blocks(training, count, 0))
    console.print(f"ranges: {ranges}")
    encoders = {"float32": session(plain), "int8": session(audio_graph(whisper, *projection, "", ranges))}
    test = blocks([voice for voice in voices if voice.part is Part.TEST], count, 1)
    features = {
        form: np.concatenate([frozen_segments(encoder, test[start : start + 16]) for start in range(0, len(test), 16)])
        for form, encoder in encoders.items()
    }
    alone = np.concatenate([frozen_segments(encoders["int8"], row[np.newaxis]) for row in test[:16]])
    result = {
        "benchmark": "voice_int8",
        "ranges": ranges,
        "cosine": cosines(features["float32"], features["int8"]),
        "same_bytes": alone.tobytes() == features["int8"][:16].tobytes(),
        "ms": {
            form: {batch: cpu_ms(encoder, test[:batch], 2.0 if options.quick else 6.0) for batch in BATCHES}
            for form, encoder in encoders.items()
        },
        "machine": machine(),
        "versions": versions("onnxruntime", "numpy"),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
