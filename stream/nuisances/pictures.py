"""Nuisances of a picture: blur, a bar, bad light. All take and return (n, 48, 48) uint8 grey crops of faces.

A tint is none of them: crops are grey, and `stream.encoders.face.normalise` takes brightness and contrast out of them.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stream.domain.media_format import FACE_SIZE

Crops = npt.NDArray[np.uint8]


def blur(crops: Crops, sigma: float) -> Crops:
    """Blur as a camera out of focus does: a Gaussian with its standard deviation in pixels."""
    blurred = [cv2.GaussianBlur(crop, (0, 0), sigma) for crop in crops]
    return np.array(blurred, np.uint8).reshape(crops.shape)


def bar(crops: Crops, pixels: float) -> Crops:
    """Blacken the lowest rows, as a banner or a name tag in the picture does."""
    covered = crops.copy()
    covered[:, FACE_SIZE - round(pixels) :] = 0
    return covered


def dim(crops: Crops, gamma: float) -> Crops:
    """Change the light: grey levels in [0, 1] to their power gamma. Above 1 shadows grow; it is no change of contrast alone."""
    levels = 255.0 * np.linspace(0.0, 1.0, 256) ** gamma
    return np.asarray(np.rint(levels)[crops], dtype=np.uint8)
