"""The two paths on real films, each of which shows one person at a time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.face_runs.paths import Path as FacePath
from stream.domain.chunk import ContentType
from stream.domain.media_format import VIDEO_PER_SECOND
from stream.media.decode import sample_frames
from stream.media.faces import Box, overlap
from stream.media.media_info import Selection
from stream.media.picture import Picture
from stream.media.quality import VideoQuality
from stream.media.reader import FileReader

MAX_PIXELS = 8_300_000
AROUND = 2
"""Pictures before and after one whose largest faces say where its face is."""

ALIKE = 0.3
"""Intersection over union from which a box is on a face."""


@dataclass(slots=True)
class Tally:
    """What a path found.

    Attributes:
        faces: Faces shown.
        found: Faces with a box on them.
        false: Boxes that are on no face.
        chunk_ms: CPU time of each chunk.
    """

    faces: int = 0
    found: int = 0
    false: int = 0
    chunk_ms: list[float] = field(default_factory=list)

    def add(self, shown: Sequence[Box], boxes: Sequence[Box]) -> None:
        """Count a picture."""
        self.faces += len(shown)
        self.found += sum(any(overlap(box, face) > ALIKE for box in boxes) for face in shown)
        self.false += sum(all(overlap(box, face) <= ALIKE for face in shown) for box in boxes)

    def row(self) -> dict[str, float]:
        """For the report; the time is the median."""
        share = {"rate": round(self.found / self.faces, 3)} if self.faces else {}
        counts = {"faces": self.faces, "found": self.found, **share, "false": self.false}
        return {**counts, "ms": round(statistics.median(self.chunk_ms), 2)}


def chunks_of(film: Path, quality: VideoQuality) -> list[list[Picture]]:
    """The pictures that a worker looks at, by chunk, as `sentistream produce` sends them."""
    video = FileReader(str(film), None, quality).info.video[0].index
    pieces = FileReader(str(film), Selection(video=video), quality).pieces()
    found = (sample_frames(piece.payload, ContentType.VIDEO_MP4, VIDEO_PER_SECOND, MAX_PIXELS) for piece in pieces)
    return [[picture for _, picture in frames] for frames in found]


def boxes_of(chunk: Sequence[Picture], path: FacePath, tally: Tally) -> list[list[Box]]:
    """The boxes in each picture of a chunk; the time is noted."""
    find = path()
    began = time.process_time()
    boxes = [[face.box for face in find(picture)] for picture in chunk]
    tally.chunk_ms.append(1000 * (time.process_time() - began))
    return boxes


def on_films(films: Sequence[Path], quality: VideoQuality, every_frame: FacePath, searched: FacePath) -> tuple[Tally, Tally]:
    """Both paths on films: the face of a picture is where the search of every frame finds the largest ones in the pictures around it."""
    tallies = Tally(), Tally()
    for film in films:
        found: tuple[list[list[Box]], list[list[Box]]] = [], []
        for chunk in chunks_of(film, quality):
            for path, tally, boxes in zip((every_frame, searched), tallies, found, strict=True):
                boxes.extend(boxes_of(chunk, path, tally))
        for shown, before, after in zip(_faces(found[0]), *found, strict=True):
            tallies[0].add([shown], before)
            tallies[1].add([shown], after)
    return tallies


def _faces(found: Sequence[Sequence[Box]]) -> list[Box]:
    faces = []
    for number in range(len(found)):
        largest = [boxes[0] for boxes in found[max(0, number - AROUND) : number + AROUND + 1] if boxes]
        left, top, right, bottom = np.median(np.array(largest), axis=0).tolist()
        faces.append((left, top, right, bottom))
    return faces
