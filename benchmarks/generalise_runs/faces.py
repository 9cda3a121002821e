"""How the served face encoder and MMCI answer to faces: their accuracy, and how far the score moves when a crop is one pixel off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from stream.domain.features import Floats
from stream.domain.media_format import VIDEO_PER_SECOND
from stream.encoders.face import normalise
from stream.training.corpora import Part, read_faces
from stream.training.export import served_face
from stream.training.faces import predict
from stream.training.inference import session

SHIFTS = ((0, 1), (0, -1), (1, 0), (-1, 0))
WINDOW_S = 4
BATCH = 32
"""Images that are scored at once."""

Crops = npt.NDArray[np.uint8]


class ServedFaces:
    """The face encoder, or another one, and MMCI of a model repository. A face fills a window of four seconds in which nothing is said."""

    def __init__(self, repository: Path, encoder: bytes | None = None) -> None:
        self._encoder = session(encoder or repository / "face_encoder" / "1" / "model.onnx")
        self._mmci = session(repository / "mmci" / "1" / "model.onnx")

    def answers(self, crops: Crops) -> tuple[Floats, Floats]:
        """From (n, 48, 48) grey crops to (n,) scores and (n, 3) probabilities of negative, neutral and positive."""
        parts = [self._batch(crops[start : start + BATCH]) for start in range(0, crops.shape[0], BATCH)]
        scores, probabilities = zip(*parts, strict=True)
        return np.concatenate(scores), np.concatenate(probabilities)

    def _batch(self, crops: Crops) -> tuple[Floats, Floats]:
        rows, frames = crops.shape[0], WINDOW_S * VIDEO_PER_SECOND
        (embeddings,) = self._encoder.run(["embedding"], {"face": normalise(crops)})
        begins = np.arange(frames, dtype=np.float32) / VIDEO_PER_SECOND
        times = np.stack([begins, begins + 1 / VIDEO_PER_SECOND], axis=1)
        feed = {given.name: np.zeros(_shape(given, rows), np.float32) for given in self._mmci.get_inputs()}
        feed |= {
            "video": np.repeat(embeddings[:, None], frames, axis=1),
            "video_times": np.repeat(times[None], rows, axis=0),
            "video_mask": np.ones((rows, frames), np.float32),
        }
        scores, probabilities = self._mmci.run(["coalition_scores", "coalition_probabilities"], feed)
        return scores[:, -1], probabilities[:, -1]


def _shape(given: onnxruntime.NodeArg, rows: int) -> list[int]:
    """The shape of an input, with `rows` windows; the number of nodes, where it is free, is 1: a masked row."""
    return [rows, *(size if isinstance(size, int) else 1 for size in given.shape[1:])]


def shifted(crops: Crops) -> Iterator[Crops]:
    """(n, 48, 48) crops moved by one pixel in each of the four directions; the pixels at the edge are repeated."""
    padded = np.pad(crops, ((0, 0), (1, 1), (1, 1)), mode="edge")
    height, width = crops.shape[1:]
    for down, right in SHIFTS:
        yield padded[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]


def measures(data: Path, repository: Path, most: int | None) -> dict[str, float | int]:
    """Measures on FER2013's test images without copies of training images.

    Args:
        data: Folder of the corpora.
        repository: Triton model repository.
        most: Most images; None for all.

    Returns:
        ``images``, their number; ``polarity_accuracy``, of the most probable label; ``fer_accuracy``, of the seven expressions by
        the classifier with which the encoder was trained, whose weights are beside the served model; ``shift_p95`` and
        ``shift_mean``, the change of the score (points) when the crop moves by one pixel, over all images and four directions.
    """
    faces = read_faces(data, Part.TEST)
    chosen = np.random.default_rng(0).permutation(faces.images.shape[0])[:most]
    images, served = faces.images[chosen], ServedFaces(repository)
    scores, probabilities = served.answers(images)
    changes = np.concatenate([np.abs(served.answers(moved)[0] - scores) for moved in shifted(images)])
    return {
        "images": int(chosen.size),
        "polarity_accuracy": float((probabilities.argmax(axis=1) == faces.polarities[chosen]).mean()),
        "fer_accuracy": float((predict(served_face(repository), images)[0].argmax(axis=1) == faces.emotions[chosen]).mean()),
        "shift_p95": float(np.quantile(changes, 0.95)),
        "shift_mean": float(changes.mean()),
    }
