"""Decoded frames as arrays. Runs in the child processes that decode media only."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange

Picture = npt.NDArray[np.uint8]
"""(h, w) grey or (h, w, 3) colour."""

_LIMITED_RANGE = frozenset({"yuv420p", "yuv422p", "yuv444p"})
_FULL_RANGE = frozenset({"yuvj420p", "yuvj422p", "yuvj444p", "gray"})
"""Formats whose first plane is the brightness, one byte a pixel."""

_BLACK, _WHITE = 16, 235
"""Brightness of black and white in video's limited range (ITU-R BT.601 and BT.709)."""

_EXPANDED = np.clip(np.rint((np.arange(256.0) - _BLACK) * 255 / (_WHITE - _BLACK)), 0, 255).astype(np.uint8)


def grey(frame: Any) -> Picture:
    """The (h, w) picture with black at 0 and white at 255, as FFmpeg's own conversion gives it, at a tenth of the cost.

    Args:
        frame: A decoded `av.VideoFrame`.
    """
    name = frame.format.name
    if name not in _LIMITED_RANGE and name not in _FULL_RANGE:
        return np.asarray(frame.to_ndarray(format="gray"), np.uint8)
    plane = frame.planes[0]
    # Lines are padded. A frame that is cropped begins within its memory, so its last line may end before the padding does.
    brightness = np.ndarray((frame.height, frame.width), np.uint8, buffer=plane, strides=(plane.line_size, 1))
    if name in _FULL_RANGE or frame.color_range == ColorRange.JPEG:
        return brightness.copy()
    return np.asarray(cv2.LUT(brightness, _EXPANDED), np.uint8)


def upright(picture: Picture, rotation: int) -> Picture:
    """Turn a picture by the container's display matrix: phones film sideways and leave the turning to the player.

    Args:
        picture: The decoded picture.
        rotation: Degrees, counter-clockwise. Only quarter turns are applied.
    """
    return np.ascontiguousarray(np.rot90(picture, rotation // 90)) if rotation % 90 == 0 and rotation else picture
