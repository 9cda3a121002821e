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
import os
import tempfile
from pathlib import Path

from benchmarks.eight_bits import changes, cpu_ms, judge
from benchmarks.generalise_runs.faces import ServedFaces
from benchmarks.served import REPOSITORY
from stream.encoders.face import normalise
from stream.model.encoders import ServedFaceEncoder
from stream.model_repository.files import MODEL_FILE, VERSION
from stream.model_repository.served_models import FACE_ENCODER
from stream.training.corpora import Part, read_faces
from stream.training.export import FACE_ENTRY, export_encoder, served_face
from stream.training.inference import session

BATCHES = (1, 5, 16)
OUTPUTS = ["embedding", "cells"]
"""What the worker asks for."""

GUARDS = {"mean change": 0.05, "p95 of changes": 0.20, "accuracy below float32's": 0.005, "flips": 0.02}
"""The largest values that are good enough."""


def in_float32() -> bytes:
    """The encoder with the served weights, in float32."""
    with tempfile.TemporaryDirectory() as folder:
        return export_encoder(ServedFaceEncoder(served_face(REPOSITORY).encoder), FACE_ENTRY, Path(folder)).read_bytes()


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
    guarded = changes(scores, labels) | {"accuracy below float32's": accuracy["float32"] - accuracy["int8"]}
    faces = normalise(shown.images[: max(BATCHES)])
    encoders = {form: session(encoder) for form, encoder in files.items()}
    ms = {
        form: {str(batch): round(cpu_ms(encoder, OUTPUTS, {"face": faces[:batch]}), 3) for batch in BATCHES}
        for form, encoder in encoders.items()
    }
    judge(guarded, GUARDS, {"accuracy": accuracy, "ms": ms})


if __name__ == "__main__":
    main()
