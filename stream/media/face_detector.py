"""Finds the faces of a grey picture with the Viola-Jones cascades that OpenCV 4 ships. Runs in the decoder's child process only."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import cv2.data
import numpy as np

from stream.domain.media_format import FACE_SIZE
from stream.media.faces import Box, Crops
from stream.media.picture import Picture

MAX_FACES = 8
"""Faces kept of a picture: it bounds the reply for a picture made of faces."""

DETECTION_SIDE = 320
"""Longer side, in pixels, to which a picture is scaled down before it is searched: the search time grows with the area."""

CASCADE_SIDE = 20
"""Side of the picture that the cascade was trained on: it finds no smaller face."""


class Sizes(NamedTuple):
    """Which faces a search finds, and how finely it looks.

    Attributes:
        smallest: Smallest face, as a fraction of the picture's shorter side. The time grows about with its inverse square.
        step: Factor from one searched size to the next.
        neighbours: Overlapping hits that make a face.
    """

    smallest: float
    step: float
    neighbours: int


ALL_SIZES = Sizes(0.15, 1.1, 3)
"""With OpenCV's default step and neighbours. The face of somebody in the background is smaller."""

LARGE = Sizes(0.30, 1.2, 2)
"""Eight times as fast. With half the sizes there are fewer hits on a face."""


class Face(NamedTuple):
    """A face: its box in the picture, and its (48, 48) uint8 crop."""

    box: Box
    crop: Crops


class Square(NamedTuple):
    """Where a face is in a reduced picture, in its pixels."""

    x: float
    y: float
    side: float


class Reduced(NamedTuple):
    """A picture as it is searched.

    Attributes:
        picture: The full-size picture.
        small: The same, its longer side at most `DETECTION_SIDE` pixels.
        scale: Pixels of `small` for one of `picture`, at most 1.
    """

    picture: Picture
    small: Picture
    scale: float

    @classmethod
    def of(cls, picture: Picture) -> Reduced:
        """Scale an (h, w) grey picture down, unless it is small enough."""
        height, width = picture.shape
        scale = min(1.0, DETECTION_SIDE / max(height, width))
        # A picture that is a line would vanish.
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if scale < 1.0 else picture
        return cls(picture, np.asarray(small, np.uint8), scale)

    def face(self, square: Square) -> Face:
        """The face in a square of the full-size picture. Scaling back can move the square's edge past the picture's."""
        height, width = self.picture.shape
        x, y, side = (value / self.scale for value in square)
        left, top = max(0, round(x)), max(0, round(y))
        right, bottom = min(width, round(x + side)), min(height, round(y + side))
        crop = cv2.resize(self.picture[top:bottom, left:right], (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_AREA)
        return Face((left / width, top / height, right / width, bottom / height), np.asarray(crop, np.uint8))


class FaceDetector:
    """Finds frontal faces with the ``alt2`` cascade: on our clips as many as with ``default``, without its false ones."""

    def __init__(self) -> None:
        cv2.setNumThreads(1)
        self._cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"))
        if self._cascade.empty():
            raise RuntimeError("the installed OpenCV has no face cascade: install opencv-python-headless 4.11")

    def squares(self, small: Picture, sizes: Sizes = ALL_SIZES) -> list[Square]:
        """Up to `MAX_FACES` faces of a reduced (h, w) grey picture, largest first."""
        side = max(CASCADE_SIDE, int(min(small.shape) * sizes.smallest))
        boxes = self._cascade.detectMultiScale(small, sizes.step, sizes.neighbours, minSize=(side, side))
        # The cascade's boxes are square: the width is the side.
        return sorted((Square(*map(float, box[:3])) for box in boxes), key=lambda square: -square.side)[:MAX_FACES]

    def faces(self, picture: Picture) -> list[Face]:
        """Up to `MAX_FACES` faces of an (h, w) grey picture, largest first."""
        reduced = Reduced.of(picture)
        return [reduced.face(square) for square in self.squares(reduced.small)]
