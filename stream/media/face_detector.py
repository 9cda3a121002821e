"""Finds the faces of a grey picture with the Viola-Jones cascades that OpenCV 4 ships. Runs in the decoder's child process only."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import cv2.data
import numpy as np

from stream.domain.media_format import FACE_SIZE
from stream.media.decode import Picture
from stream.media.faces import Box, Crops

MAX_FACES = 8
"""Faces kept of a picture: it bounds the reply for a picture made of faces."""

DETECTION_SIDE = 320
"""Longer side, in pixels, to which a picture is scaled down before it is searched: the search time grows with the area."""

SCALE_FACTOR = 1.1
MIN_NEIGHBOURS = 3
"""OpenCV's defaults: the step between searched face sizes, and the overlapping hits that make a face."""

MIN_FACE_FRACTION = 0.15
"""Smallest face, as a fraction of the picture's shorter side: the face of somebody in the background is smaller."""

CASCADE_SIDE = 20
"""Side of the picture that the cascade was trained on: it finds no smaller face."""


class Face(NamedTuple):
    """A face: its box in the picture, and its (48, 48) uint8 crop."""

    box: Box
    crop: Crops


class FaceDetector:
    """Finds frontal faces with the ``alt2`` cascade: on our clips as many as with ``default``, without its false ones."""

    def __init__(self) -> None:
        cv2.setNumThreads(1)
        self._cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"))
        if self._cascade.empty():
            raise RuntimeError("the installed OpenCV has no face cascade: install opencv-python-headless 4.11")

    def faces(self, picture: Picture) -> list[Face]:
        """Up to `MAX_FACES` faces of an (h, w) grey picture, largest first."""
        height, width = picture.shape
        scale = min(1.0, DETECTION_SIDE / max(height, width))
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1.0 else picture
        min_side = max(CASCADE_SIDE, int(min(small.shape) * MIN_FACE_FRACTION))
        boxes = self._cascade.detectMultiScale(small, SCALE_FACTOR, MIN_NEIGHBOURS, minSize=(min_side, min_side))
        largest = sorted((tuple(int(v) for v in box) for box in boxes), key=lambda box: -box[2])[:MAX_FACES]
        # The cascade's boxes are square: the width is the side.
        return [self._face(picture, x / scale, y / scale, side / scale) for x, y, side, _ in largest]

    @staticmethod
    def _face(picture: Picture, x: float, y: float, side: float) -> Face:
        """The face in a square of the full-size picture. Scaling back can move the square's edge past the picture's."""
        height, width = picture.shape
        left, top = max(0, round(x)), max(0, round(y))
        right, bottom = min(width, round(x + side)), min(height, round(y + side))
        crop = cv2.resize(picture[top:bottom, left:right], (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_AREA)
        return Face((left / width, top / height, right / width, bottom / height), np.asarray(crop, np.uint8))
