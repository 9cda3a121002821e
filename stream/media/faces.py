"""From the faces of each frame to the one face that is followed: pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.domain.media_format import FACE_SIZE

Box = tuple[float, float, float, float]
Crops = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FaceFrame:
    """A frame that was looked at.

    Attributes:
        time_ms: Time from the chunk's first frame.
        boxes: Its faces, largest first: left, top, right, bottom as fractions of the picture.
        crops: (n, 48, 48) uint8 grey, one for each box.
    """

    time_ms: int
    boxes: tuple[Box, ...]
    crops: Crops


FaceFrames = tuple[FaceFrame, ...]


@dataclass(frozen=True, slots=True)
class TrackedFaces:
    """The followed face in one chunk.

    Attributes:
        crops: (n, 48, 48) uint8.
        boxes: (n, 4) float32, fractions of the picture.
        spans_ms: (n, 2) int64, media time for which each frame stands.
        faces_max: Most faces seen in one frame.
        frames: Frames looked at, with or without a face.
    """

    crops: Crops
    boxes: npt.NDArray[np.float32]
    spans_ms: npt.NDArray[np.int64]
    faces_max: int
    frames: int


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


class FaceTracker:
    """Follows the largest face of a track from frame to frame.

    The face that overlaps the last one most goes on being followed, whatever else comes into the picture; only when it has been gone
    for a while does the largest one take its place. One tracker serves one track; chunks go in in order of media time.
    """

    def __init__(self, patience_ms: int = 1000, least_overlap: float = 0.2) -> None:
        """Make a tracker without a face.

        Args:
            patience_ms: A face that is not seen is waited for so long (media time) before another one may be followed.
            least_overlap: Intersection over union from which a box is taken for the followed face.
        """
        self._patience_ms = patience_ms
        self._least_overlap = least_overlap
        self._box: Box | None = None
        self._seen_ms = 0

    def follow(self, frames: FaceFrames, start_ms: int, duration_ms: int) -> TrackedFaces:
        """Choose at most one face in each frame of a chunk that covers [start_ms, start_ms + duration_ms)."""
        end_ms = start_ms + duration_ms
        times = [start_ms + frame.time_ms for frame in frames] + [end_ms]
        chosen: list[tuple[FaceFrame, int, int, int]] = []
        for frame, begin, until in zip(frames, times, times[1:], strict=False):
            index = self._choose(frame.boxes, begin)
            if index is not None and begin < end_ms:
                chosen.append((frame, index, begin, max(begin + 1, min(until, end_ms))))
        return TrackedFaces(
            crops=np.array([frame.crops[index] for frame, index, _, _ in chosen], np.uint8).reshape(-1, FACE_SIZE, FACE_SIZE),
            boxes=np.array([frame.boxes[index] for frame, index, _, _ in chosen], np.float32).reshape(-1, 4),
            spans_ms=np.array([(begin, until) for _, _, begin, until in chosen], np.int64).reshape(-1, 2),
            faces_max=max((len(frame.boxes) for frame in frames), default=0),
            frames=len(frames),
        )

    def _choose(self, boxes: tuple[Box, ...], at_ms: int) -> int | None:
        # Media time that runs backwards is a new epoch: what was followed before means nothing.
        gone = self._box is None or not 0 <= at_ms - self._seen_ms <= self._patience_ms
        index: int | None = None
        if boxes and not gone and self._box is not None:
            followed = self._box
            best = max(range(len(boxes)), key=lambda i: overlap(boxes[i], followed))
            index = best if overlap(boxes[best], followed) >= self._least_overlap else None
        elif boxes:
            index = 0
        if index is not None:
            self._box, self._seen_ms = boxes[index], at_ms
        return index
