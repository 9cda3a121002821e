"""From grey face crops to the face encoder's input."""

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
