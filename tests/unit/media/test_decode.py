from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from stream.domain.chunk import ContentType
from stream.media.decode import sample_frames
from stream.media.face_detector import FaceDetector
from tests.support import media


def _half_white_film() -> bytes:
    """A second of film, 64x32 pixels, the left half white."""
    buffer = io.BytesIO()
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, :32] = 255
    with av.open(buffer, "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov"}) as output:
        stream: Any = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def _turned_clockwise(film: bytes) -> bytes:
    """The film with the display matrix that a phone held upright writes."""
    matrix = film.index(b"tkhd") + 44
    return film[:matrix] + struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30) + film[matrix + 36 :]


def test_frames_are_sampled_evenly() -> None:
    for frames_per_second, times in ((5, [0, 200, 400, 600, 800]), (1, [0]), (2, [0, 520]), (4, [0, 280, 520, 760])):
        assert [time_ms for time_ms, _ in sample_frames(_half_white_film(), ContentType.VIDEO_MP4, frames_per_second, 10_000)] == times


def test_a_phone_film_is_turned_upright() -> None:
    film = _half_white_film()
    flat = next(sample_frames(film, ContentType.VIDEO_MP4, 1, 10_000))[1]
    assert flat.shape == (32, 64)
    assert flat[:, :24].mean() > 200 > 50 > flat[:, 40:].mean()
    turned = next(sample_frames(_turned_clockwise(film), ContentType.VIDEO_MP4, 1, 10_000))[1]
    assert turned.shape == (64, 32)
    assert turned[:24].mean() > 200 > 50 > turned[40:].mean()


@pytest.mark.parametrize("size", [(48, 48), (640, 360), (20, 2000)])
def test_no_face_is_found_in_a_picture_without_one(size: tuple[int, int]) -> None:
    assert FaceDetector().faces(media.picture(*size)[:, :, 0].copy()) == []
