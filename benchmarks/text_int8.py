"""The text encoder in 8 bits against the same in float32: what it does to scores, and what it costs.

    python -m benchmarks.text_int8 [--data DIR]

`stream.model_repository.text_integers` multiplies MiniLM's matrices in 8 bits. Both encoders read 300 test sentences each of MOSI and MELD,
and MMCI scores the words alone. `change` is the distance of the two scores in points, `flips` the share of labels that differ, `error` the
mean distance of MOSI's scores from the ratings. `ms` is the CPU time of a text of 24 tokens on one core: the least of many runs, since
machines are shared.

The last line of stdout is one JSON object with these keys. The exit code is 1 if a guard does not hold (`GUARDS`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console

from benchmarks.machine import machine, versions
from benchmarks.served import REPOSITORY
from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.encoders.text import default_tokenizer
from stream.model_repository.served_models import TEXT_ENCODER
from stream.model_repository.text_weights import build_text_encoder, tuned_model
from stream.reveal.models import RepositoryModels
from stream.reveal.windows import encode
from stream.reveal.words import text_alone
from stream.training.corpora import Part, Utterance, read_meld, read_mosi
from stream.training.inference import session

SENTENCES = 300
BATCHES = (1, 4, 16)
RUNS = 25
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
TIMED = ["refund"] * 22
GUARDS = {"mean change": 0.05, "p95 of changes": 0.20, "error above float32's": 0.005, "flips": 0.02}
"""The largest values that are good enough."""

console = Console(stderr=True)


def drawn(utterances: list[Utterance], seed: int) -> list[Utterance]:
    """Some test sentences."""
    tested = [utterance for utterance in utterances if utterance.part is Part.TEST]
    return [tested[index] for index in np.random.default_rng(seed).permutation(len(tested))[:SENTENCES]]


def scored(models: RepositoryModels, sentences: list[Utterance]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Score and label of each sentence, from its words alone."""
    answers = models.answers(encode([text_alone(tuple(sentence.text.split())) for sentence in sentences], models))
    return answers.scores[:, Modality.TEXT.bit], answers.probabilities[:, Modality.TEXT.bit].argmax(axis=-1)


def cpu_ms(encoder: Path | bytes, batch: int) -> float:
    """CPU time of one row of a batch."""
    opened, tokenised = session(encoder), default_tokenizer().tokenise(TIMED)
    rows = {name: np.repeat(getattr(tokenised, name)[np.newaxis], batch, axis=0) for name in INPUTS}
    least = float("inf")
    for _ in range(RUNS):
        began = time.process_time()
        opened.run(["last_hidden_state"], rows)
        least = min(least, time.process_time() - began)
    return round(least * 1000 / batch, 2)


def main() -> None:
    """Measure, print, and check the guards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SENTISTREAM_DATA"), help="folder of the corpora")
    options = parser.parse_args()
    if options.data is None:
        parser.error("say where the corpora are: --data or SENTISTREAM_DATA")
    exact = tuned_model(REPOSITORY / TEXT_ENCODER).SerializeToString()
    sentences = drawn(read_mosi(options.data), 0) + drawn(read_meld(options.data), 1)
    found = {
        "float32": scored(RepositoryModels(REPOSITORY, text=exact), sentences),
        "int8": scored(RepositoryModels(REPOSITORY), sentences),
    }
    ratings = np.array([sentence.score for sentence in sentences[:SENTENCES]], np.float32)
    errors = {form: float(np.abs(scores[:SENTENCES] - ratings).mean()) for form, (scores, _) in found.items()}
    change = np.abs(found["int8"][0] - found["float32"][0])
    guarded = {
        "mean change": float(change.mean()),
        "p95 of changes": float(np.quantile(change, 0.95)),
        "error above float32's": errors["int8"] - errors["float32"],
        "flips": float((found["int8"][1] != found["float32"][1]).mean()),
    }
    files: dict[str, Path | bytes] = {"float32": exact, "int8": build_text_encoder(REPOSITORY / TEXT_ENCODER)}
    ms = {form: {str(batch): cpu_ms(file, batch) for batch in BATCHES} for form, file in files.items()}
    for name, value in guarded.items():
        console.print(f"{name}: {value:.4f}, at most {GUARDS[name]}")
    console.print(f"error: {errors['float32']:.3f} in float32, {errors['int8']:.3f} in 8 bits; CPU ms a row: {ms}")
    report = {name: round(value, 4) for name, value in guarded.items()}
    print(json.dumps({"change": report, "error": errors, "ms": ms, "machine": machine(), "versions": versions("onnxruntime", "numpy")}))
    sys.exit(any(value > GUARDS[name] for name, value in guarded.items()))


if __name__ == "__main__":
    main()
