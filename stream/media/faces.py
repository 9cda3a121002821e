"""Follows one face through the frames of a track: pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.domain.media_format import FACE_SIZE

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the picture."""

Crops = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FaceFrame:
    """A frame in which faces were searched for.

    Attributes:
        time_ms: Time from the chunk's first frame.
        boxes: Its faces, largest first.
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
        spans_ms: (n, 2) int64, the media time that each frame stands for.
        faces_max: Largest number of faces in one frame.
        frames: Number of frames that were searched, with or without a face.
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
    intersection = width * height
    return intersection / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - intersection)


class FaceTracker:
    """Follows the largest face of a track from frame to frame.

    The tracker stays with the face that overlaps the last one most, even if a larger face appears: a passer-by must not take the
    speaker's place. Only after the face has been gone for a while does the largest face replace it. Each track has a tracker of its
    own, which gets the track's chunks in order of media time.
    """

    def __init__(self, patience_ms: int = 1000, min_overlap: float = 0.2) -> None:
        """Make a tracker without a face.

        Args:
            patience_ms: Media time for which a lost face is waited for before another one may be followed.
            min_overlap: Intersection over union from which a box counts as the followed face.
        """
        self._patience_ms = patience_ms
        self._min_overlap = min_overlap
        self._box: Box | None = None
        self._seen_ms = 0

    def follow(self, frames: FaceFrames, start_ms: int, duration_ms: int) -> TrackedFaces:
        """Choose at most one face in each frame of a chunk that covers [start_ms, start_ms + duration_ms).

        A frame stands for the time until the next frame, and for 1 ms at least: an empty span would belong to no window.
        """
        end_ms = start_ms + duration_ms
        times = [start_ms + frame.time_ms for frame in frames] + [end_ms]
        chosen: list[tuple[FaceFrame, int, int, int]] = []
        for frame, frame_ms, next_ms in zip(frames, times, times[1:], strict=False):
            index = self._choose(frame.boxes, frame_ms)
            if index is not None and frame_ms < end_ms:
                chosen.append((frame, index, frame_ms, max(frame_ms + 1, min(next_ms, end_ms))))
        return TrackedFaces(
            crops=np.array([frame.crops[index] for frame, index, _, _ in chosen], np.uint8).reshape(-1, FACE_SIZE, FACE_SIZE),
            boxes=np.array([frame.boxes[index] for frame, index, _, _ in chosen], np.float32).reshape(-1, 4),
            spans_ms=np.array([(start, end) for _, _, start, end in chosen], np.int64).reshape(-1, 2),
            faces_max=max((len(frame.boxes) for frame in frames), default=0),
            frames=len(frames),
        )

    def _choose(self, boxes: tuple[Box, ...], time_ms: int) -> int | None:
        """Index of the followed face among a frame's boxes, or None."""
        # Media time that runs backwards is a new epoch: the face of the last one may be somebody else's.
        lost = self._box is None or not 0 <= time_ms - self._seen_ms <= self._patience_ms
        index: int | None = None
        if boxes and not lost and self._box is not None:
            followed = self._box
            best = max(range(len(boxes)), key=lambda i: overlap(boxes[i], followed))
            index = best if overlap(boxes[best], followed) >= self._min_overlap else None
        elif boxes:
            index = 0
        if index is not None:
            self._box, self._seen_ms = boxes[index], time_ms
        return index
