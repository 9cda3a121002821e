"""Finds the faces of a chunk cheaply: a face is searched for once, and followed through the other frames by how it looks."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from stream.domain.features import Floats
from stream.media.face_detector import MAX_FACES, Face, FaceDetector, Reduced, Square
from stream.media.picture import Picture

LARGE_FROM = 0.33
"""Side of a face, as a fraction of the picture's shorter side, from which a search for large faces is enough. Closer to the smallest size
of that search a face has too few hits for a good square, and a second face may be just below it. People at their own camera are larger."""

MAX_SEARCHES_OF_ALL_SIZES = 2
"""Searches for faces of all sizes in a chunk: it bounds the time for a chunk in which faces come and go."""

MIN_CORRELATION = 0.7
"""Correlation coefficient from which a face is still the same one. On our clips 2 % of the faces fall below it within a second; other
faces at the same place, as after a cut, reach .65."""

REACH = 30
"""How far a face moves from one sampled frame to the next at most, in pixels of the reduced picture; a faster one is searched for."""


class FaceSearch:
    """Finds the faces in the frames of one chunk, in the order of time.

    The first frame is searched: for large faces, and if there is none, for all sizes. Each face is then followed by matching the pixels of
    the frame that it was found in, at half size and to fractions of a pixel, so its square keeps its size and does not jitter. A frame in
    which a face is lost is searched like the first one. While there are fewer faces than there were in the chunk, or none, the next frames
    are searched for large faces.

    So a chunk has at most `MAX_SEARCHES_OF_ALL_SIZES` searches for all sizes, and one if it shows nobody; and a search for large faces in
    each frame. A second face that appears beside a followed one is noticed in the next chunk, a small one beside a large one often not at
    all. Nothing is kept from one chunk to the next: a chunk gives the same faces whenever it is decoded again.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._searches_of_all_sizes = MAX_SEARCHES_OF_ALL_SIZES
        self._followed: list[_Followed] = []
        self._most = 1
        self._shape: tuple[int, ...] = ()

    def faces(self, picture: Picture) -> list[Face]:
        """Up to `MAX_FACES` faces of the next frame, an (h, w) grey picture, largest first."""
        is_new = picture.shape != self._shape
        if is_new:
            self._followed, self._shape = [], picture.shape
        reduced = Reduced.of(picture)
        half = _half(reduced.small)
        matched = [found for face in self._followed if (found := face.in_frame(half))]
        # Where two faces cross, one is hidden: the place is that of the one that matches better.
        faces = _apart(sorted(matched, key=lambda face: -face.correlation))
        if len(faces) < self._most:
            is_new |= len(faces) < len(self._followed)
            faces = _apart([*faces, *(_Followed.start(half, square) for square in self._search(reduced.small, is_new=is_new))])
        self._followed = sorted(faces, key=lambda face: -face.square.side)[:MAX_FACES]
        self._most = max(self._most, len(self._followed))
        return [reduced.face(face.square) for face in self._followed]

    def _search(self, small: Picture, *, is_new: bool) -> list[Square]:
        found = self._detector.large_squares(small)
        if is_new and self._searches_of_all_sizes and not (found and found[0].side >= LARGE_FROM * min(small.shape)):
            self._searches_of_all_sizes -= 1
            found = self._detector.quick_squares(small)
        return found


class _Followed(NamedTuple):
    """A face that is followed.

    Attributes:
        looks: How it looked when it was found, at half the size of the reduced picture.
        x: Where it looks most like that, in pixels of the half-size picture.
        y: The same, downwards.
        square: Where it is in the reduced picture.
        correlation: How much it looks like that.
    """

    looks: Picture
    x: float
    y: float
    square: Square
    correlation: float = 1.0

    @classmethod
    def start(cls, half: Picture, square: Square) -> _Followed:
        x, y, side = (int(value) // 2 for value in square)
        return cls(half[y : y + side, x : x + side], x, y, square)

    def in_frame(self, half: Picture) -> _Followed | None:
        """The same face in another frame of the same size; None if it is lost."""
        x, y, correlation = _best(half, self.looks, self.x, self.y, REACH // 2)
        if correlation < MIN_CORRELATION:
            return None
        # A part may begin at an odd pixel, so only the way of its half-size picture counts.
        square = self.square._replace(x=self.square.x + 2 * (x - self.x), y=self.square.y + 2 * (y - self.y))
        return self._replace(x=x, y=y, square=square, correlation=correlation)


def _half(small: Picture) -> Picture:
    """A reduced picture at half its size."""
    height, width = small.shape
    return np.asarray(cv2.resize(small, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA), np.uint8)


def _best(picture: Picture, looks: Picture, x: float, y: float, reach: int) -> tuple[float, float, float]:
    """Where a part looks most alike near (x, y), in fractions of pixels, and the correlation coefficient there."""
    height, width = looks.shape
    left, top = (max(0, min(round(start) - reach, most)) for start, most in ((x, picture.shape[1] - width), (y, picture.shape[0] - height)))
    around = picture[top : max(0, round(y)) + height + reach, left : max(0, round(x)) + width + reach]
    alike: Floats = np.asarray(cv2.matchTemplate(around, looks, cv2.TM_CCOEFF_NORMED), np.float32)
    row, column = np.unravel_index(int(alike.argmax()), alike.shape)
    found_x, found_y = left + int(column) + _peak(alike[row], int(column)), top + int(row) + _peak(alike[:, column], int(row))
    return found_x, found_y, float(alike[row, column])


def _peak(alike: Floats, index: int) -> float:
    """How far the top of the parabola through the largest value and its neighbours is from it; 0 at the edge."""
    if not 0 < index < len(alike) - 1:
        return 0.0
    before, at, after = (float(value) for value in alike[index - 1 : index + 2])
    bend = before - 2 * at + after
    return (before - after) / (2 * bend) if bend < 0 else 0.0


def _apart(faces: list[_Followed]) -> list[_Followed]:
    """The faces without those at the place of an earlier one."""
    kept: list[_Followed] = []
    for face in faces:
        if not any(face.square.is_at(other.square) for other in kept):
            kept.append(face)
    return kept
