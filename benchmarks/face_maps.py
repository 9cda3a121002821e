"""Whether maps of faces name the regions that move the score: cells of real faces are blanked in the image, and it is encoded again.

    python -m benchmarks.face_maps [--images N] [--seed N] [--data DIR]

Each image is a test image of FER2013, shown through a window of one second without words and voice. Maps rank its 36 cells in the direction
of the score. The cells are blanked with the mean of the image, the strongest first: what the score loses without the first k
(``comprehensiveness``), and with the first k alone (``sufficiency``), in score points, is averaged over k and images. ``sign`` is the
agreement with the sign of the loss when a cell is blanked alone, weighed by its size.

The last line of stdout is one JSON object: ``maps -> {name -> {comprehensiveness, sufficiency, sign}}``, ``images``, ``moved`` (the mean
distance of the score from that of nothing).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from rich.console import Console
from safetensors.numpy import load_file

from benchmarks.explanation_runs.local_models import LocalClient
from benchmarks.machine import machine, versions
from stream.config.settings import Settings
from stream.domain.features import Floats
from stream.domain.inference import EVERYTHING
from stream.domain.media_format import AUDIO_PER_SECOND, FACE_CELLS, FACE_MAP, FACE_SIZE, VIDEO_PER_SECOND, WORDS_PER_SECOND
from stream.encoders.face import normalise
from stream.encoders.window_inputs import NO_CONTEXT
from stream.explain.face_maps import cell_relevance, grad_cam_of_cells
from stream.model_repository.served_models import FACE_ENCODER, MMCI
from stream.training.corpora import Part, read_faces
from stream.training.inference import session

REMOVED = (1, 2, 4, 7, 11, 18)
BATCH = 64
CELLS, SIDE = FACE_CELLS[0], FACE_SIZE // FACE_MAP[1]
console = Console(stderr=True)

Masks = npt.NDArray[np.bool_]


class Faces:
    """The served face encoder and network, for windows that hold one face and nothing else."""

    def __init__(self, repository: Path) -> None:
        self._client = LocalClient(repository)
        graph = onnx.load(repository / MMCI / "1" / "model.onnx")
        # ONNX Runtime computes all outputs of a graph, whichever are asked for.
        scores = onnx.utils.Extractor(graph).extract_model([tensor.name for tensor in graph.graph.input], ["coalition_scores"])
        self._scores = session(scores.SerializeToString())
        weights = load_file(repository / FACE_ENCODER / "1" / "weights.safetensors")
        self.weight: Floats = weights["encoder.embed.weight"]
        """(64, 128) from the last feature map to the embedding before tanh."""

    def encode(self, faces: Floats, output: str) -> npt.NDArray[np.floating]:
        """An output of the face encoder for (n, 1, 48, 48) faces."""
        parts = [self._client.run(FACE_ENCODER, {"face": part}, [output])[output] for part in _batches(faces)]
        return np.concatenate(parts)

    def answer(self, embeddings: Floats, output: str) -> Floats:
        """An output of the network for windows with one of (n, 64) embeddings each."""
        return np.concatenate([self._client.run(MMCI, _windows(part), [output])[output] for part in _batches(embeddings)])

    def scores(self, faces: Floats) -> Floats:
        """(n,) scores of faces."""
        return self.coalitions(self.encode(faces, "embedding").astype(np.float32))[:, EVERYTHING]

    def coalitions(self, embeddings: Floats) -> Floats:
        """(n, 16) scores of the coalitions for windows with one of (n, 64) embeddings each."""
        return np.concatenate([self._scores.run(["coalition_scores"], _windows(part))[0] for part in _batches(embeddings)])


def _batches(rows: Floats) -> Sequence[Floats]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def _windows(embeddings: Floats) -> dict[str, Floats]:
    count = len(embeddings)

    def empty(*shape: int) -> Floats:
        return np.zeros((count, *shape), np.float32)

    starts = np.arange(VIDEO_PER_SECOND, dtype=np.float32) / VIDEO_PER_SECOND
    times = np.stack([starts, starts + 1 / VIDEO_PER_SECOND], axis=1)
    past: dict[str, Floats] = {name: np.broadcast_to(value, (count, *value.shape)).copy() for name, value in NO_CONTEXT.items()}
    nodes: dict[str, Floats] = {
        "words": empty(WORDS_PER_SECOND, past["past_words"].shape[2]),
        "word_times": empty(WORDS_PER_SECOND, 2),
        "word_mask": empty(WORDS_PER_SECOND),
        "audio": empty(AUDIO_PER_SECOND, past["past_audio"].shape[2]),
        "audio_times": empty(AUDIO_PER_SECOND, 2),
        "audio_mask": empty(AUDIO_PER_SECOND),
        "video": np.repeat(embeddings[:, np.newaxis], VIDEO_PER_SECOND, axis=1),
        "video_times": np.broadcast_to(times, (count, *times.shape)).astype(np.float32),
        "video_mask": np.ones((count, VIDEO_PER_SECOND), np.float32),
    }
    return past | nodes


def blanked(faces: Floats, cells: Masks) -> Floats:
    """Faces (n, 1, 48, 48) without some of their (n, 36) cells. Faces have the mean 0."""
    shown = (~cells).reshape(-1, 1, *FACE_MAP[1:]).repeat(SIDE, axis=2).repeat(SIDE, axis=3)
    return faces * shown.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Shown:
    """What is explained.

    Attributes:
        network: The models.
        faces: (n, 1, 48, 48).
        score: (n,) score of each face.
        nothing: Score of an empty window.
        alone: (n, 36) what the score loses when a cell is blanked alone.
    """

    network: Faces
    faces: Floats
    score: Floats
    nothing: float
    alone: Floats

    @property
    def signs(self) -> Floats:
        """(n,) directions in which the faces move the score."""
        return np.where(self.score >= self.nothing, 1.0, -1.0).astype(np.float32)


def maps_of(shown: Shown, seed: int) -> dict[str, Floats]:
    """(n, 36) maps by name. The slope of the five frames that show a face is their sum."""
    network, faces, score, nothing, alone = shown.network, shown.faces, shown.score, shown.nothing, shown.alone
    embeddings, cells = network.encode(faces, "embedding").astype(np.float32), network.encode(faces, "cells").astype(np.float16)
    channels = network.encode(faces, "feature_map").reshape(len(faces), -1, CELLS).transpose(0, 2, 1).astype(np.float16)
    slopes = network.answer(embeddings, "face_slope").sum(axis=1)
    bend = 1 - embeddings**2
    signs, rows = shown.signs.tolist(), range(len(faces))
    return {
        "ours": np.stack([cell_relevance(cells[i], slopes[i], float(score[i] - nothing)) for i in rows]),
        "Grad-CAM++, last feature map": np.stack(
            [grad_cam_of_cells(channels[i], (slopes[i] * bend[i]) @ network.weight, signs[i]) for i in rows]
        ),
        "Grad-CAM++, cells": np.stack([grad_cam_of_cells(cells[i], slopes[i], signs[i]) for i in rows]),
        "each cell blanked alone (oracle)": alone,
        "random": np.random.default_rng(seed).normal(size=alone.shape).astype(np.float32),
    }


def judged(shown: Shown, found: Floats) -> dict[str, float]:
    """The three figures of a map."""
    ranks = np.argsort(np.argsort(-found * shown.signs[:, np.newaxis], axis=1, kind="stable"), axis=1)

    def lost(cells: Masks) -> Floats:
        return shown.signs * (shown.score - shown.network.scores(blanked(shown.faces, cells)))

    without, kept = [lost(ranks < k) for k in REMOVED], [lost(ranks >= k) for k in REMOVED]
    alone, agrees = shown.alone, np.sign(found) == np.sign(shown.alone)
    return {
        "comprehensiveness": round(float(np.mean(without)), 3),
        "sufficiency": round(float(np.mean(kept)), 3),
        "sign": round(float((agrees * abs(alone)).sum() / abs(alone).sum()), 3),
    }


def main() -> None:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SENTISTREAM_DATA", "data")))
    options = parser.parse_args()
    repository = Settings().triton.model_repository
    network = Faces(repository)
    images = read_faces(options.data, Part.TEST).images
    faces = normalise(images[np.random.default_rng(options.seed).choice(len(images), options.images, replace=False)])
    score = network.scores(faces)
    nothing = float(network.coalitions(np.zeros((1, FACE_CELLS[1]), np.float32))[0, 0])
    one_cell = [np.repeat(np.eye(CELLS, dtype=np.bool_)[[cell]], len(faces), axis=0) for cell in range(CELLS)]
    alone = np.stack([score - network.scores(blanked(faces, cell)) for cell in one_cell], axis=1)
    shown = Shown(network, faces, score, nothing, alone)
    result = {}
    for name, found in maps_of(shown, options.seed).items():
        result[name] = judged(shown, found)
        console.print(f"{name}: {result[name]}")
    moved = round(float(abs(score - nothing).mean()), 3)
    print(json.dumps({"maps": result, "images": options.images, "moved": moved, "machine": machine(), "versions": versions()}))


if __name__ == "__main__":
    main()
