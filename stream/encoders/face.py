"""From grey face crops to the face encoder's input, and from its embeddings to those of a chunk's frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.media_format import FACE_SIZE

MIN_CONTRAST = 8.0
"""In grey levels. A flatter crop is not stretched to unit variance: its noise would look like features."""


def normalise(crops: npt.NDArray[np.uint8]) -> Floats:
    """Give each crop zero mean and unit variance, so that light and camera matter less.

    Args:
        crops: (n, 48, 48) uint8.

    Returns:
        (n, 1, 48, 48) float32.

    Raises:
        ValueError: A crop has another size.
    """
    if crops.ndim != 3 or crops.shape[1:] != (FACE_SIZE, FACE_SIZE):
        raise ValueError(f"face crops are (n, {FACE_SIZE}, {FACE_SIZE})")
    pixels = crops.astype(np.float32)
    mean = pixels.mean(axis=(1, 2), keepdims=True)
    contrast = np.maximum(pixels.std(axis=(1, 2), keepdims=True), MIN_CONTRAST)
    return np.ascontiguousarray(((pixels - mean) / contrast)[:, None])


def smoothed(rows: Floats, spans_ms: npt.NDArray[np.int64]) -> Floats:
    """Average each frame of a chunk with the frames right before and after it: a box jumps by pixels, and a face does not.

    A frame after a gap, in which no face was found, is not averaged with those before it: it may show somebody else. Frames of other
    chunks do not count, so a chunk that is encoded again gives the same embeddings.

    Args:
        rows: (n, width) embeddings, or what their cells have in them, in order of time.
        spans_ms: (n, 2) media time that each frame stands for.

    Returns:
        (n, width) means of one to three rows.
    """
    total, count = rows.copy(), np.ones((len(rows), 1), np.float32)
    touching = (spans_ms[1:, :1] == spans_ms[:-1, 1:]).astype(np.float32)
    for own, other in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
        total[own] += touching * rows[other]
        count[own] += touching
    return total / count
