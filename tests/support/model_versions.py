"""Further versions of ``mmci`` for tests and fault runs: the served graph with other answers, and graphs that must not be promoted."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from safetensors.numpy import load_file, save_file

from stream.model_repository.audio_weights import PROJECTION
from stream.model_repository.files import MODEL_FILE
from stream.model_repository.served_models import AUDIO_ENCODER, MMCI
from stream.model_repository.version_files import CARD, add_version, load_at_start, load_encoders_at_start

SCORES = "coalition_scores"


def copy_repository(source: Path, target: Path) -> Path:
    """A repository in which versions may be added and promoted; only version 1 of each model is loaded."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("weights.safetensors"))
    for model in (MMCI, AUDIO_ENCODER):
        for extra in target.glob(f"{model}/[0-9]*"):
            if extra.name != "1":
                shutil.rmtree(extra)
    load_at_start(target / MMCI, ("1",))
    load_encoders_at_start(target / AUDIO_ENCODER, ("1",))
    return target


def add_scaled_version(repository: Path, factor: float, *, shift: float = 0.0, passed: bool | None = True, drop: str | None = None) -> str:
    """Add a version of ``mmci`` whose scores are those of version 1 times a factor, plus a shift; return its number.

    Args:
        repository: The model repository.
        factor: Multiplies all scores; NaN makes a version that never gives a finite answer.
        shift: Is added to them.
        passed: Whether it has passed its gates; None: it has no card.
        drop: An output that the graph lacks.
    """
    model = onnx.load(str(repository / MMCI / "1" / MODEL_FILE))
    graph = model.graph
    raw = f"{SCORES}_unscaled"
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == SCORES:
                    names[index] = raw
    for name, value in (("factor", factor), ("shift", shift)):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    graph.node.append(helper.make_node("Mul", [raw, "factor"], ["scaled"]))
    graph.node.append(helper.make_node("Add", ["scaled", "shift"], [SCORES]))
    for output in [output for output in graph.output if output.name == drop]:
        graph.output.remove(output)
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, str(Path(folder) / MODEL_FILE))
        if passed is not None:
            (Path(folder) / CARD).write_text(json.dumps({"gates": {"clean": {"passed": passed}}}))
        return add_version(repository / MMCI, Path(folder))


def add_version_with_encoder(repository: Path, factor: float) -> str:
    """Add a version whose audio encoder gives the embeddings of the release times a factor, and whose scores are those of version 1."""
    version = add_scaled_version(repository, 1.0)
    give_encoder(repository, version, factor)
    return version


def give_encoder(repository: Path, version: str, factor: float) -> None:
    """Give a version that is not served yet an audio encoder of its own: the embeddings of the release times a factor."""
    tensors = load_file(repository / AUDIO_ENCODER / PROJECTION)
    save_file({name: tensor * np.float32(factor) for name, tensor in tensors.items()}, repository / MMCI / version / PROJECTION)


def add_damaged_version(repository: Path) -> str:
    """Add a version of ``mmci`` that is no ONNX file; return its number."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / MODEL_FILE).write_bytes(b"damaged")
        return add_version(repository / MMCI, Path(folder))
