"""The two ways to find faces: as the product does, and in every frame by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from stream.domain.media_format import FACE_SIZE
from stream.media.decode import decode_audio, sample_frames
from stream.media.face_detector import Face, FaceDetector
from stream.media.face_search import FaceSearch
from stream.media.faces import FaceFrame, FaceFrames
from stream.media.pcm import Samples
from stream.media.picture import Picture
from stream.media.sandbox import Sandbox

Path = Callable[[], Callable[[Picture], list[Face]]]
"""Gives, for each chunk, a function from its frames in turn to their faces."""


def paths(detector: FaceDetector) -> tuple[Path, Path]:
    """The search of every frame for faces of all sizes, and the product's."""
    return lambda: detector.faces, lambda: FaceSearch(detector).faces


class LocalSandbox:
    """Decodes in this process, and finds faces by one of the paths."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def as_sandbox(self) -> Sandbox:
        """For functions that want the real one: only the two methods below are called."""
        return cast("Sandbox", self)

    async def decode_audio(self, payload: bytes, content_type: str) -> Samples:
        """As `Sandbox.decode_audio`."""
        return decode_audio(payload, content_type)

    async def find_faces(self, payload: bytes, content_type: str, frames_per_second: int, max_pixels: int) -> FaceFrames:
        """As `Sandbox.find_faces`."""
        find = self._path()
        return tuple(
            _frame(time_ms, find(picture)) for time_ms, picture in sample_frames(payload, content_type, frames_per_second, max_pixels)
        )


def _frame(time_ms: int, faces: list[Face]) -> FaceFrame:
    crops = np.array([face.crop for face in faces], np.uint8).reshape(-1, FACE_SIZE, FACE_SIZE)
    return FaceFrame(time_ms, tuple(face.box for face in faces), crops)
