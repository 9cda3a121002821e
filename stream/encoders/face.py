"""Grey face crops to the face encoder's input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.media_format import FACE_SIZE

LEAST_CONTRAST = 8.0
"""Grey levels: a flatter crop is not stretched to full contrast."""


def normalise(crops: npt.NDArray[np.uint8]) -> Floats:
    """Give every crop zero mean and unit variance, so that light and camera matter less.

    Args:
        crops: (n, 48, 48) uint8.

    Returns:
        (n, 1, 48, 48) float32.

    Raises:
        ValueError: If a crop has another size.
    """
    if crops.ndim != 3 or crops.shape[1:] != (FACE_SIZE, FACE_SIZE):
        raise ValueError(f"face crops are (n, {FACE_SIZE}, {FACE_SIZE})")
    pixels = crops.astype(np.float32)
    mean = pixels.mean(axis=(1, 2), keepdims=True)
    contrast = np.maximum(pixels.std(axis=(1, 2), keepdims=True), LEAST_CONTRAST)
    return np.ascontiguousarray(((pixels - mean) / contrast)[:, None])
