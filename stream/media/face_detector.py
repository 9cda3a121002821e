"""Finds the faces of a grey picture with the Viola-Jones cascades that OpenCV 4 ships. Runs in the decoder's child process only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


SMALLEST = 0.15
"""Smallest face, as a fraction of the picture's shorter side. The face of somebody in the background is smaller."""

STEP = 1.1
"""Factor from one searched size to the next: OpenCV's default, as are the neighbours."""

NEIGHBOURS = 3
"""Overlapping hits that a face has at least."""

LARGE = 0.30
"""Smallest face of the search for large ones. A search takes a time that grows about with the inverse square of it."""

HIT_STEP, LARGE_HIT_STEP = 1.25, 1.35
"""Factors between the sizes at which places of faces of all sizes, and of large faces alone, are looked for. One hit is enough there: the
place is searched again. A large face has hits at more sizes and places, so its factor may be larger."""

PLACE_STEP = 1.2
"""Factor between the sizes at which a place is searched again."""

PLACE_SIZES = 0.75, 1.2
"""Smallest and largest face at a place, in sides of the hits: those at a smaller picture are too large more often than too small."""

SAME_PLACE = 0.5
"""Distance of two squares, in sides of the larger one, within which they cannot be two faces."""


class Face(NamedTuple):
    """A face: its box in the picture, and its (48, 48) uint8 crop."""

    box: Box
    crop: Crops


class Square(NamedTuple):
    """Where a face is in a reduced picture, in its pixels."""

    x: float
    y: float
    side: float

    def is_at(self, other: Square) -> bool:
        """Whether the two cannot be two faces."""
        across, down = (abs(p + self.side / 2 - q - other.side / 2) for p, q in ((self.x, other.x), (self.y, other.y)))
        return max(across, down) <= SAME_PLACE * max(self.side, other.side)


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

    def squares(self, small: Picture) -> list[Square]:
        """Up to `MAX_FACES` faces of a reduced (h, w) grey picture, largest first."""
        side = max(CASCADE_SIDE, int(min(small.shape) * SMALLEST))
        return _largest_first(_square(box) for box in self._cascade.detectMultiScale(small, STEP, NEIGHBOURS, minSize=(side, side)))

    def large_squares(self, small: Picture) -> list[Square]:
        """The same for large faces, at an eighth of the time."""
        return self._placed(small, LARGE, LARGE_HIT_STEP)

    def quick_squares(self, small: Picture) -> list[Square]:
        """The same for faces of all sizes, at a third of the time. A few of the smallest are missed."""
        return self._placed(small, SMALLEST, HIT_STEP)

    def _placed(self, small: Picture, smallest: float, hit_step: float) -> list[Square]:
        """The faces from a size on: places are found in a rough search, and then searched again.

        The picture is scaled down until the smallest of them is as small as the cascade allows. Of sizes below twice that one OpenCV tries
        only every fourth place, so a face has few hits and its square is rough; around them the picture is searched again as it is.
        """
        scale = min(1.0, CASCADE_SIDE / (smallest * min(small.shape)))
        tiny = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1.0 else small
        hits = [[*map(int, box)] for box in self._cascade.detectMultiScale(tiny, hit_step, 0, minSize=(CASCADE_SIDE, CASCADE_SIDE))]
        # Each twice: OpenCV leaves out a group of one.
        groups, sizes = cv2.groupRectangles(hits * 2, 1, 0.3)
        found: list[Square] = []
        for group in np.argsort(-np.ravel(sizes), kind="stable")[:MAX_FACES]:
            x, y, side = _square(groups[group])
            place = Square(x / scale, y / scale, side / scale)
            if not any(place.is_at(face) for face in found):
                found.extend(self._at(small, place))
        return _largest_first(found)

    def _at(self, small: Picture, place: Square) -> list[Square]:
        """The face at a place, if there is one."""
        least, most = (int(size * place.side) for size in PLACE_SIZES)
        margin = (most - place.side) / 2
        left, top = (max(0, int(start - margin)) for start in place[:2])
        around = small[top : int(place.y + place.side + margin), left : int(place.x + place.side + margin)]
        boxes = self._cascade.detectMultiScale(around, PLACE_STEP, 1, minSize=(least, least), maxSize=(most, most))
        return [Square(left + x, top + y, side) for x, y, side in _largest_first(_square(box) for box in boxes)[:1]]

    def faces(self, picture: Picture) -> list[Face]:
        """Up to `MAX_FACES` faces of an (h, w) grey picture, largest first."""
        reduced = Reduced.of(picture)
        return [reduced.face(square) for square in self.squares(reduced.small)]


def _square(box: Sequence[int]) -> Square:
    """The cascade's boxes are square: the width is the side."""
    return Square(float(box[0]), float(box[1]), float(box[2]))


def _largest_first(squares: Iterable[Square]) -> list[Square]:
    return sorted(squares, key=lambda square: -square.side)[:MAX_FACES]
