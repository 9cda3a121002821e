"""The picture of recordings as it is sent: size, rate, times and bytes by quality."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from stream.domain.chunk import ContentType
from stream.media.decode import sample_frames
from stream.media.media_info import Selection
from stream.media.pieces import Piece
from stream.media.quality import VideoQuality
from stream.media.reader import FileReader
from tests.support.recordings import Film, write


def _pieces(path: Path, quality: VideoQuality = VideoQuality.MODEL) -> list[Piece]:
    return list(FileReader(str(path), Selection(video=0), quality).pieces())


def _frames(piece: Piece) -> list[Any]:
    with av.open(io.BytesIO(piece.payload), mode="r", format="mp4") as container:
        return list(container.decode(video=0))


def _size(piece: Piece) -> tuple[int, int]:
    first = _frames(piece)[0]
    return first.width, first.height


def _looked_at(piece: Piece) -> list[int]:
    """Times of the pictures that a worker looks at."""
    return [time_ms for time_ms, _ in sample_frames(piece.payload, ContentType.VIDEO_MP4, 5, 10_000_000)]


def _half_white(width: int, height: int) -> Film:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2] = 255
    return Film([(0, 0.2)], width=width, height=height, picture=picture)


@pytest.mark.parametrize(
    ("size", "model", "sharp"),
    [
        ((1920, 1080), (320, 180), (640, 360)),
        ((720, 1280), (180, 320), (360, 640)),
        ((854, 480), (320, 180), (640, 360)),
        ((500, 64), (320, 40), (500, 64)),
        ((160, 120), (160, 120), (160, 120)),
        ((2, 2000), (2, 320), (2, 640)),
    ],
)
def test_pictures_are_scaled_down_by_their_longer_side_and_never_enlarged(
    tmp_path: Path, size: tuple[int, int], model: tuple[int, int], sharp: tuple[int, int]
) -> None:
    path = write(tmp_path / "film.mkv", "matroska", Film([(0, 0.2)], width=size[0], height=size[1]))
    assert [_size(_pieces(path, quality)[0]) for quality in VideoQuality] == [model, sharp, sharp]


def test_odd_sides_become_even(tmp_path: Path) -> None:
    path = write(tmp_path / "film.mkv", "matroska", Film([(0, 0.2)], width=319, height=121, codec="ffv1"))
    assert _size(_pieces(path)[0]) == (318, 120)


@pytest.mark.parametrize("rate", [5, 12, 24, 25, 30, 60])
@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_a_worker_looks_at_the_same_pictures_at_any_quality(tmp_path: Path, container: str, rate: int) -> None:
    path = write(tmp_path / "film", container, Film([(0, 2)], fps=rate, width=64, height=48))
    by_quality = {quality: _pieces(path, quality) for quality in VideoQuality}
    for model, sharp, high in zip(*by_quality.values(), strict=True):
        assert (model.start_ms, model.duration_ms) == (high.start_ms, high.duration_ms) == (sharp.start_ms, sharp.duration_ms)
        assert _looked_at(model) == _looked_at(high)
        assert len(_looked_at(model)) == len(_frames(model)) == len(_frames(sharp)) == 5
        assert len(_frames(high)) == min(rate, 30)


def test_the_end_of_a_film_does_not_depend_on_the_pictures_that_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "film.mp4", "mp4", Film([(0, 2.48)]))
    assert [[piece.duration_ms for piece in _pieces(path, quality)] for quality in VideoQuality] == [[1000, 1000, 480]] * 3


def test_every_piece_begins_with_its_only_key_frame_and_is_the_same_when_it_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "film.mp4", "mp4", Film([(0, 2)], fps=30))
    for quality in VideoQuality:
        pieces = _pieces(path, quality)
        assert [[frame.key_frame for frame in _frames(piece)].index(True) for piece in pieces] == [0, 0]
        assert sum(frame.key_frame for piece in pieces for frame in _frames(piece)) == 2
        assert pieces == _pieces(path, quality)


def test_a_film_that_was_turned_is_sent_upright(tmp_path: Path) -> None:
    path = write(tmp_path / "film.mp4", "mp4", _half_white(640, 360))
    film = path.read_bytes()
    matrix = film.index(b"tkhd") + 44
    path.write_bytes(film[:matrix] + struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30) + film[matrix + 36 :])
    picture = _frames(_pieces(path)[0])[0].to_ndarray(format="gray")
    assert picture.shape == (320, 180)
    assert picture[:150].mean() > 200 > 50 > picture[170:].mean()


def _jittered(rate: int, seconds: int) -> Iterator[float]:
    """Times of a camera's pictures: two thirds of them come 1 ms early."""
    return (max(0.0, number / rate - (0.001 if number % 3 else 0.0)) for number in range(rate * seconds))


def _write_jittered(path: Path, rate: int, seconds: int = 1) -> Path:
    with av.open(str(path), "w", format="matroska") as output:
        stream: Any = output.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for time_s in _jittered(rate, seconds):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), stream.time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("quality", list(VideoQuality))
def test_a_second_that_ends_with_the_next_ones_first_picture_has_no_more_pictures_than_others(
    tmp_path: Path, quality: VideoQuality
) -> None:
    path = _write_jittered(tmp_path / "film.mkv", 25, seconds=2)
    for piece in _pieces(path, quality):
        assert len(_looked_at(piece)) == 5
        assert _looked_at(piece)[-1] < piece.duration_ms


@pytest.mark.parametrize("rate", [25, 30])
def test_pictures_that_come_a_little_early_are_not_left_out(tmp_path: Path, rate: int) -> None:
    path = _write_jittered(tmp_path / "film.mkv", rate)
    assert len(_frames(_pieces(path, VideoQuality.HIGH)[0])) == rate
    (model,) = _pieces(path)
    assert _looked_at(model) == [frame.pts * 1000 // 90_000 for frame in _frames(model)]
    assert len(_looked_at(model)) == 5


@pytest.mark.parametrize(
    ("codec", "pixels"), [("libx264", "yuv420p"), ("libx264", "yuvj420p"), ("libx264", "yuv420p10le"), ("mjpeg", "yuvj420p")]
)
def test_brightness_is_kept_whatever_the_range_and_the_depth_of_the_source(tmp_path: Path, codec: str, pixels: str) -> None:
    path, greys = tmp_path / "film.mkv", np.repeat(np.array([0, 51, 102, 153, 204, 255], np.uint8), 32)
    with av.open(str(path), "w", format="matroska") as output:
        stream: Any = output.add_stream(codec, rate=5)
        stream.width, stream.height, stream.pix_fmt = len(greys), 64, pixels
        if pixels == "yuvj420p":
            stream.codec_context.color_range = 2
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.tile(greys[None, :, None], (64, 1, 3)), format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, 5)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    piece = _pieces(path)[0]
    _, picture = next(sample_frames(piece.payload, ContentType.VIDEO_MP4, 5, 10_000_000))
    assert picture[32, 16::32] == pytest.approx(greys[16::32], abs=5)
