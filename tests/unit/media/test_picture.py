from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from stream.media.picture import grey

RANGES = (ColorRange.UNSPECIFIED, ColorRange.MPEG, ColorRange.JPEG)


def _frame(name: str, width: int, height: int) -> Any:
    """A frame of random pixels that has every brightness."""
    frame = av.VideoFrame(width, height, name)
    random = np.random.default_rng(7)
    for plane in frame.planes:
        plane.update(random.integers(0, 256, plane.buffer_size, dtype=np.uint8).tobytes())
    return frame


def _cropped_film(width: int, height: int) -> bytes:
    """H.264 codes blocks of 16x16: any other size is cropped by the decoder."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream: Any = output.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        frame = _frame("yuv444p", width, height)
        frame.pts, frame.time_base = 0, Fraction(1, 5)
        output.mux([*stream.encode(frame), *stream.encode(None)])
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(64, 64), (57, 33), (1, 1), (300, 2)])
@pytest.mark.parametrize("name", ["yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gray", "yuv420p10le", "gbrp"])
def test_grey_is_what_ffmpeg_converts_to(name: str, size: tuple[int, int]) -> None:
    for color_range in RANGES:
        frame = _frame(name, *size)
        frame.color_range = color_range
        picture = grey(frame)
        assert picture.shape == (size[1], size[0])
        assert picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, frame.to_ndarray(format="gray"))


@pytest.mark.parametrize("size", [(70, 50), (33, 47)])
def test_a_picture_that_the_decoder_crops_is_grey_to_its_edges(size: tuple[int, int]) -> None:
    with av.open(io.BytesIO(_cropped_film(*size)), "r") as container:
        frame = next(container.decode(video=0))
        np.testing.assert_array_equal(grey(frame), frame.to_ndarray(format="gray"))


def test_a_grey_picture_outlives_its_frame() -> None:
    for name in ("yuv420p", "yuvj420p"):
        frame = _frame(name, 64, 16)
        picture = grey(frame)
        before = picture.copy()
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        np.testing.assert_array_equal(picture, before)
