"""Chunks put together from the faces of the packaged sample, where the place of every face is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.media_format import VIDEO_PER_SECOND
from stream.media.face_detector import FaceDetector
from stream.media.faces import Box
from stream.media.picture import Picture

SIZE = (360, 640)
"""Height and width of the pictures."""

HEAD = 1.5
"""Side of the cut-out head, in sides of the detected square: with hair and chin."""

FRAMES = VIDEO_PER_SECOND
GREY, DARK, NOISE = 118.0, 0.4, 8.0


class Frame(NamedTuple):
    """A picture, and the boxes of its faces."""

    picture: Picture
    boxes: tuple[Box, ...]


Chunk = list[Frame]


class Head(NamedTuple):
    """A head cut out of a picture, and how opaque it is: it fades out towards its edge."""

    pixels: Floats
    opacity: Floats

    @classmethod
    def of(cls, picture: Picture, detector: FaceDetector) -> Head | None:
        """The head of the largest face, unless it reaches past the picture."""
        faces = detector.faces(picture)
        if not faces:
            return None
        height, width = picture.shape
        left, top, right, bottom = (value * scale for value, scale in zip(faces[0].box, (width, height) * 2, strict=True))
        radius = round(HEAD * (right - left) / 2)
        x, y = round((left + right) / 2), round((top + bottom) / 2)
        if min(x, y, width - x, height - y) < radius:
            return None
        down, right_of = np.mgrid[-1 : 1 : 2j * radius, -1 : 1 : 2j * radius]
        opacity = np.clip((1 - np.hypot(down, right_of * 1.2)) * 6, 0, 1).astype(np.float32)
        return cls(picture[y - radius : y + radius, x - radius : x + radius].astype(np.float32), opacity)

    def paste(self, canvas: Floats, x: float, y: float, side: float, turn: float = 0.0) -> Box:
        """Draw the head, its face `side` pixels wide and centred at (x, y), turned by some degrees; its box."""
        zoom = side * HEAD / len(self.pixels)
        moved: npt.NDArray[np.float64] = np.array(cv2.getRotationMatrix2D((len(self.pixels) / 2, len(self.pixels) / 2), turn, zoom))
        moved[:, 2] += np.array([x, y]) - len(self.pixels) / 2
        # Warping does not average over the pixels that it skips.
        blur = max(0.0, 0.5 / zoom - 0.5)
        pixels = np.asarray(cv2.GaussianBlur(self.pixels, (0, 0), blur), np.float32) if blur > 0 else self.pixels
        drawn, opacity = (np.asarray(cv2.warpAffine(part, moved, canvas.shape[::-1]), np.float32) for part in (pixels, self.opacity))
        canvas += opacity * (drawn - canvas)
        height, width = canvas.shape
        return (x - side / 2) / width, (y - side / 2) / height, (x + side / 2) / width, (y + side / 2) / height


def background(rng: np.random.Generator) -> Floats:
    """A blurred pattern with some straight edges, without a face."""
    height, width = SIZE
    coarse = rng.normal(GREY, 60, (9, 16)).astype(np.float32)
    canvas: Floats = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    for _ in range(6):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        across, down = (int(value) for value in rng.integers(20, 160, 2))
        canvas[y : y + down, x : x + across] += np.float32(rng.normal(0, 40))
    return canvas


def _picture(canvas: Floats, rng: np.random.Generator, *, light: float = 1.0, noise: float = 2.0) -> Picture:
    return np.clip(canvas * light + rng.normal(0, noise, canvas.shape), 0, 255).astype(np.uint8)


class Maker:
    """Makes chunks from heads. All sizes are sides of the detected square as fractions of the picture's height."""

    def __init__(self, heads: Sequence[Head], rng: np.random.Generator) -> None:
        self._heads = heads
        self._rng = rng

    def still(self, *sizes: float, turn: float = 0.0, light: float = 1.0, noise: float = 2.0) -> Chunk:
        """People of these sizes beside each other, who move a little."""
        heads, canvas, places = self._some(len(sizes)), background(self._rng), self._places(sizes)
        chunk = []
        for _ in range(FRAMES):
            places = [(x + float(self._rng.normal(0, 2)), y + float(self._rng.normal(0, 2))) for x, y in places]
            chunk.append(self._frame(canvas, zip(heads, places, sizes, strict=True), turn=turn, light=light, noise=noise))
        return chunk

    def moving(self, size: float, pixels: float) -> Chunk:
        """A face that goes across the picture by so many pixels a frame."""
        (head,), canvas = self._some(1), background(self._rng)
        start, y = SIZE[1] / 2 - pixels * (FRAMES - 1) / 2, SIZE[0] / 2
        return [self._frame(canvas, [(head, (start + number * pixels, y), size)]) for number in range(FRAMES)]

    def cut(self, *sizes: float) -> Chunk:
        """One person, and from the third frame on another one at another place; a size of 0 is nobody."""
        heads = self._some(2)
        return [frame for head, size in zip(heads, sizes, strict=True) for frame in self._scene(head, size)][1 : 1 + FRAMES]

    def _scene(self, head: Head, size: float) -> Iterator[Frame]:
        canvas = background(self._rng)
        place = self._places([size])[0]
        return (self._frame(canvas, [(head, place, size)] if size else []) for _ in range(3))

    def leaning(self, size: float, grown: float) -> Chunk:
        """A face that comes closer."""
        (head,), canvas, place = self._some(1), background(self._rng), (SIZE[1] / 2, SIZE[0] / 2)
        return [self._frame(canvas, [(head, place, size * grown ** (number / (FRAMES - 1)))]) for number in range(FRAMES)]

    def crossing(self, size: float) -> Chunk:
        """Two faces, one of which passes in front of the other."""
        heads, canvas, y = self._some(2), background(self._rng), SIZE[0] / 2
        step = 26.0
        places = [((SIZE[1] / 2 + (number - 2) * step, y), (SIZE[1] / 2 - (number - 2) * step, y)) for number in range(FRAMES)]
        return [self._frame(canvas, zip(heads, pair, (size, size), strict=True)) for pair in places]

    def nobody(self) -> Chunk:
        """A picture without a face."""
        canvas = background(self._rng)
        return [self._frame(canvas, []) for _ in range(FRAMES)]

    def _frame(
        self,
        canvas: Floats,
        people: Iterator[tuple[Head, tuple[float, float], float]] | list[tuple[Head, tuple[float, float], float]],
        *,
        turn: float = 0.0,
        light: float = 1.0,
        noise: float = 2.0,
    ) -> Frame:
        drawn = canvas.copy()
        boxes = tuple(head.paste(drawn, x, y, size * SIZE[0], turn) for head, (x, y), size in people)
        return Frame(_picture(drawn, self._rng, light=light, noise=noise), boxes)

    def _some(self, count: int) -> list[Head]:
        return [self._heads[int(index)] for index in self._rng.choice(len(self._heads), count, replace=False)]

    def _places(self, sizes: Sequence[float]) -> list[tuple[float, float]]:
        """Centres that leave room for whole heads, from left to right."""
        height, width = SIZE
        room = width / len(sizes)
        places = []
        for number, size in enumerate(sizes):
            radius = HEAD * size * height / 2
            x = number * room + float(self._rng.uniform(min(radius, room / 2), max(room - radius, room / 2)))
            places.append((x, float(self._rng.uniform(min(radius, height / 2), max(height - radius, height / 2)))))
        return places


KINDS: Mapping[str, Callable[[Maker], Chunk]] = {
    "a face of 20 % of the height": lambda maker: maker.still(0.2),
    "two faces": lambda maker: maker.still(0.45, 0.45),
    "two small faces": lambda maker: maker.still(0.25, 0.25),
    "a face of 15 % of the height": lambda maker: maker.still(0.15),
    "a small face beside a large one": lambda maker: maker.still(0.5, 0.22),
    "dark, with noise": lambda maker: maker.still(0.4, light=DARK, noise=NOISE),
    "turned by 20°": lambda maker: maker.still(0.4, turn=20.0),
    "moves across the picture": lambda maker: maker.moving(0.4, 30.0),
    "moves fast": lambda maker: maker.moving(0.4, 90.0),
    "leans forward by a quarter": lambda maker: maker.leaning(0.4, 1.25),
    "a cut to somebody else": lambda maker: maker.cut(0.4, 0.4),
    "a cut to a small face": lambda maker: maker.cut(0.5, 0.22),
    "somebody appears": lambda maker: maker.cut(0.0, 0.4),
    "two faces cross": lambda maker: maker.crossing(0.35),
    "nobody": lambda maker: maker.nobody(),
}


def heads_of(pictures: Sequence[Picture], detector: FaceDetector) -> list[Head]:
    """The heads of pictures that show one whole."""
    return [head for picture in pictures if (head := Head.of(picture, detector)) is not None]
