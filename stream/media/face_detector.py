"""Where the faces of a grey picture are: Viola-Jones cascades as packaged with OpenCV 4. Runs in the child process only."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import cv2.data
import numpy as np
import numpy.typing as npt

from stream.domain.media_format import FACE_SIZE

MAX_FACES = 8
DETECTION_SIDE = 320
"""Longer side of the picture that is searched; faces down to 15 % of the shorter side are found."""
SCALE_FACTOR = 1.1
MIN_NEIGHBOURS = 3
MIN_FACE_FRACTION = 0.15

Grey = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]


class Face(NamedTuple):
    """A face: left, top, right, bottom as fractions of the picture, and its (48, 48) uint8 crop."""

    box: Box
    crop: Grey


class FaceDetector:
    """Frontal faces, found by the ``alt2`` cascade: on our clips it finds as many as ``default`` without its false ones."""

    def __init__(self) -> None:
        cv2.setNumThreads(1)
        self._cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"))
        if self._cascade.empty():
            raise RuntimeError("the installed OpenCV has no face cascade: install opencv-python-headless 4.11")

    def faces(self, picture: Grey) -> list[Face]:
        """Up to `MAX_FACES` faces of an (h, w) picture, largest first."""
        height, width = picture.shape
        scale = min(1.0, DETECTION_SIDE / max(height, width))
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1.0 else picture
        least = max(20, int(min(small.shape) * MIN_FACE_FRACTION))
        found = self._cascade.detectMultiScale(small, SCALE_FACTOR, MIN_NEIGHBOURS, minSize=(least, least))
        ordered = sorted((tuple(int(v) for v in box) for box in found), key=lambda box: -box[2])[:MAX_FACES]
        return [self._face(picture, x / scale, y / scale, w / scale) for x, y, w, _ in ordered]

    @staticmethod
    def _face(picture: Grey, x: float, y: float, side: float) -> Face:
        height, width = picture.shape
        left, top = max(0, round(x)), max(0, round(y))
        right, bottom = min(width, round(x + side)), min(height, round(y + side))
        crop = cv2.resize(picture[top:bottom, left:right], (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_AREA)
        return Face((left / width, top / height, right / width, bottom / height), np.asarray(crop, np.uint8))
