"""The face encoder in 8 bits against the same in float32: what it does to scores, and what it costs.

    python -m benchmarks.face_int8 [--data DIR]

`stream.model_repository.face_integers` multiplies the large convolutions of the face encoder in 8 bits. Both encoders see the test images
of FER2013, and MMCI scores each face alone.

The last line of stdout is one JSON object. `change` has the values of `GUARDS`: the distance of the two scores in points, how far the
accuracy is below that of float32, and the share of labels that differ. `accuracy` is the share of right labels. `ms` is the CPU time of a
face on one core, by the size of the request: the least of many runs, since machines are shared.

The exit code is 1 if a guard does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.generalise_runs.faces import ServedFaces
from benchmarks.machine import machine, versions
from benchmarks.served import REPOSITORY
from stream.domain.features import Floats
from stream.encoders.face import normalise
from stream.model.encoders import ServedFaceEncoder
from stream.model_repository.files import MODEL_FILE, VERSION
from stream.model_repository.served_models import FACE_ENCODER
from stream.training.corpora import Part, read_faces
from stream.training.export import FACE_ENTRY, export_encoder, served_face
from stream.training.inference import session

BATCHES = (1, 5, 16)
RUNS = 50
OUTPUTS = ["embedding", "cells"]
"""What the worker asks for."""

GUARDS = {"mean change": 0.05, "p95 of changes": 0.20, "accuracy below float32's": 0.005, "flips": 0.02}
"""The largest values that are good enough."""

console = Console(stderr=True)


def in_float32() -> bytes:
    """The encoder with the served weights, in float32."""
    with tempfile.TemporaryDirectory() as folder:
        return export_encoder(ServedFaceEncoder(served_face(REPOSITORY).encoder), FACE_ENTRY, Path(folder)).read_bytes()


def cpu_ms(encoder: bytes, faces: Floats) -> float:
    """CPU time of one face of a batch."""
    opened, least = session(encoder), float("inf")
    for _ in range(RUNS):
        began = time.process_time()
        opened.run(OUTPUTS, {"face": faces})
        least = min(least, time.process_time() - began)
    return round(least * 1000 / len(faces), 3)


def main() -> None:
    """Measure, print, and check the guards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SENTISTREAM_DATA"), help="folder of the corpora (faces/)")
    options = parser.parse_args()
    if options.data is None:
        parser.error("say where the corpora are: --data or SENTISTREAM_DATA")
    shown = read_faces(Path(options.data), Part.TEST)
    files = {"float32": in_float32(), "int8": (REPOSITORY / FACE_ENCODER / VERSION / MODEL_FILE).read_bytes()}
    answers = {form: ServedFaces(REPOSITORY, encoder).answers(shown.images) for form, encoder in files.items()}
    scores = {form: found for form, (found, _) in answers.items()}
    labels = {form: probabilities.argmax(axis=1) for form, (_, probabilities) in answers.items()}
    accuracy = {form: round(float((found == shown.polarities).mean()), 4) for form, found in labels.items()}
    change = np.abs(scores["int8"] - scores["float32"])
    guarded = {
        "mean change": float(change.mean()),
        "p95 of changes": float(np.quantile(change, 0.95)),
        "accuracy below float32's": accuracy["float32"] - accuracy["int8"],
        "flips": float((labels["int8"] != labels["float32"]).mean()),
    }
    faces = normalise(shown.images[: max(BATCHES)])
    ms = {form: {str(batch): cpu_ms(encoder, faces[:batch]) for batch in BATCHES} for form, encoder in files.items()}
    for name, value in guarded.items():
        console.print(f"{name}: {value:.4f}, at most {GUARDS[name]}")
    console.print(f"accuracy: {accuracy}; CPU ms a face: {ms}")
    report = {name: round(value, 4) for name, value in guarded.items()}
    print(
        json.dumps({"change": report, "accuracy": accuracy, "ms": ms, "machine": machine(), "versions": versions("onnxruntime", "numpy")})
    )
    sys.exit(any(value > GUARDS[name] for name, value in guarded.items()))


if __name__ == "__main__":
    main()
