from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from stream.domain.chunk import ContentType
from stream.media.decode import MAX_FRAMES, decode_audio, sample_frames
from stream.media.errors import MediaError
from stream.media.face_detector import FaceDetector
from stream.media.picture import Picture
from tests.support import media

FILM = ContentType.VIDEO_MP4
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}
INDEX_FIRST = {"moov_size": "8192"}
REORDERED = {"bf": "7", "b-adapt": "0", "b-pyramid": "normal", "sc_threshold": "0"}
"""Options of x264 for a film with as many frames as possible that refer to later ones, half of which no other frame refers to."""


def _film(
    pictures: Sequence[Picture], *, rate: int = 25, first: int = 0, x264: Mapping[str, str] = {}, container: Mapping[str, str] = FRAGMENTED
) -> bytes:
    """Colour pictures as a film."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options=dict(container)) as output:
        stream: Any = output.add_stream("libx264", rate=rate, options=dict(x264))
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = first + number, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def _half_white_film() -> bytes:
    """A second of film, 64x32 pixels, the left half white."""
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, :32] = 255
    return _film([picture] * 25)


def _moving_film(**options: Any) -> bytes:
    """A second of film, 96x64 pixels, no frame of which is like another."""
    picture = media.picture(96, 64)
    return _film([np.roll(picture, 3 * number, axis=1) for number in range(25)], **options)


def _whole(film: bytes) -> list[tuple[int, Picture]]:
    """All frames as FFmpeg decodes them without any of our shortcuts, with their times in ms."""
    with av.open(io.BytesIO(film), "r") as container:
        frames: list[Any] = list(container.decode(video=0))
    return [(round((frame.time - frames[0].time) * 1000), frame.to_ndarray(format="gray")) for frame in frames]


def _sampled(film: bytes, frames_per_second: int = 5, max_pixels: int = 10_000) -> list[tuple[int, Picture]]:
    return list(sample_frames(film, FILM, frames_per_second, max_pixels))


def _reason(film: bytes, frames_per_second: int = 5, max_pixels: int = 10_000) -> str:
    with pytest.raises(MediaError) as error:
        _sampled(film, frames_per_second, max_pixels)
    return error.value.reason


def _packets(film: bytes) -> list[tuple[int, int, int]]:
    """Time of showing, first byte and size of each coded frame, in the order of decoding."""
    with av.open(io.BytesIO(film), "r") as container:
        return [(packet.pts or 0, packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]


def _damaged(film: bytes, number: int) -> bytes:
    """The film with nonsense in the coded frame with this number of the order of decoding; its lengths stay right."""
    _, begin, size = _packets(film)[number]
    return film[: begin + 5] + b"\xa5" * (size - 5) + film[begin + size :]


def _turned_clockwise(film: bytes) -> bytes:
    """The film with the display matrix that a phone held upright writes."""
    matrix = film.index(b"tkhd") + 44
    return film[:matrix] + struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30) + film[matrix + 36 :]


def test_frames_are_sampled_evenly() -> None:
    for frames_per_second, times in ((5, [0, 200, 400, 600, 800]), (1, [0]), (2, [0, 520]), (4, [0, 280, 520, 760])):
        assert [time_ms for time_ms, _ in sample_frames(_half_white_film(), FILM, frames_per_second, 10_000)] == times


def test_a_phone_film_is_turned_upright() -> None:
    film = _half_white_film()
    flat = next(sample_frames(film, FILM, 1, 10_000))[1]
    assert flat.shape == (32, 64)
    assert flat[:, :24].mean() > 200 > 50 > flat[:, 40:].mean()
    turned = next(sample_frames(_turned_clockwise(film), FILM, 1, 10_000))[1]
    assert turned.shape == (64, 32)
    assert turned[:24].mean() > 200 > 50 > turned[40:].mean()


@pytest.mark.parametrize("size", [(48, 48), (640, 360), (20, 2000)])
def test_no_face_is_found_in_a_picture_without_one(size: tuple[int, int]) -> None:
    assert FaceDetector().faces(media.picture(*size)[:, :, 0].copy()) == []


@pytest.mark.parametrize("container", [FRAGMENTED, {}, INDEX_FIRST], ids=["fragmented", "index last", "index first"])
@pytest.mark.parametrize(
    "x264", [{}, REORDERED, {"tune": "zerolatency"}, {"interlaced": "1"}], ids=["plain", "reordered", "live", "fields"]
)
@pytest.mark.parametrize("frames_per_second", [1, 5, 7, 25])
def test_sampled_frames_are_those_of_the_whole_film(frames_per_second: int, x264: Mapping[str, str], container: Mapping[str, str]) -> None:
    film = _moving_film(x264=x264, container=container)
    slots: dict[int, tuple[int, Picture]] = {}
    for time_ms, picture in _whole(film):
        slots.setdefault(time_ms * frames_per_second // 1000, (time_ms, picture))
    sampled = _sampled(film, frames_per_second)
    assert [time_ms for time_ms, _ in sampled] == [time_ms for time_ms, _ in slots.values()]
    for (_, picture), (_, expected) in zip(sampled, slots.values(), strict=True):
        np.testing.assert_array_equal(picture, expected)


def test_frames_keep_their_order_where_the_stream_does_not_tell_it() -> None:
    film = _moving_film(x264=REORDERED | {"profile": "main"})
    silent = _without_vui(film)
    assert silent != film
    told, untold = _sampled(film, 25), _sampled(silent, 25)
    assert [time_ms for time_ms, _ in untold] == list(range(0, 1000, 40))
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(told, untold, strict=True))


def test_damage_is_found_in_every_frame_that_counts_and_is_ignored_in_others() -> None:
    film = _moving_film(x264={"tune": "zerolatency", "g": "100"})
    last_wanted = 20
    for number in (0, 1, last_wanted):
        assert _reason(_damaged(film, number)) == "bad_media"
    for number in (last_wanted + 1, 24):
        assert [time_ms for time_ms, _ in _sampled(_damaged(film, number))] == [0, 200, 400, 600, 800]


def test_a_film_that_is_cut_off_within_a_frame_is_refused_even_if_nobody_wants_the_frame() -> None:
    for container in (FRAGMENTED, INDEX_FIRST):
        film = _moving_film(x264={"tune": "zerolatency"}, container=container)
        _, begin, size = _packets(film)[-1]
        for end in (begin - 1, begin + 1, begin + size - 1):
            assert _reason(film[:end]) == "bad_media"


def test_the_clock_of_a_film_may_start_at_any_time() -> None:
    assert [time_ms for time_ms, _ in _sampled(_moving_film(first=1000))] == [0, 200, 400, 600, 800]


def test_too_long_a_film_is_refused_before_a_frame_is_decoded() -> None:
    frames = sample_frames(_film([media.picture(64, 64)] * 32), FILM, 5, 10_000)
    with pytest.raises(MediaError, match="longer"):
        next(frames)


@pytest.mark.parametrize(("frames", "is_refused"), [(MAX_FRAMES, False), (MAX_FRAMES + 1, True)])
def test_a_film_has_no_more_frames_than_allowed(frames: int, is_refused: bool) -> None:
    film = _film([np.zeros((32, 32, 3), np.uint8)] * frames, rate=MAX_FRAMES)
    if is_refused:
        assert _reason(film) == "too_large"
    else:
        assert len(_sampled(film)) == 5


def test_frames_that_refer_to_the_same_bytes_are_refused() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    film = _film([noise] * 5, x264={"g": "1", "qp": "1"})
    # A fragment's header says where in the file its frames are.
    begin = film.index(b"moof") - 4
    header = film[begin : begin + int.from_bytes(film[begin : begin + 4], "big")]
    repeating = film + 9 * header
    assert len(_sampled(film)) > 0
    assert sum(size for _, _, size in _packets(repeating)) > len(repeating)
    assert _reason(repeating) == "bad_media"


def test_the_size_in_the_header_is_not_believed() -> None:
    film = _moving_film()
    entry = film.index(b"avc1", film.index(b"stsd")) + 28
    assert film[entry : entry + 4] == struct.pack(">HH", 96, 64)
    for width, height in ((16, 16), (0, 0)):
        lying = film[:entry] + struct.pack(">HH", width, height) + film[entry + 4 :]
        assert len(_sampled(lying)) == 5
        assert _reason(lying, max_pixels=5000) == "too_large"
    huge = _film([np.zeros((1024, 2048, 3), np.uint8)])
    entry = huge.index(b"avc1", huge.index(b"stsd")) + 28
    assert _reason(huge[:entry] + struct.pack(">HH", 16, 16) + huge[entry + 4 :]) == "bad_media"


@pytest.mark.parametrize(("rate", "layout"), [(8000, "mono"), (96_000, "stereo"), (48_000, "7.1")])
def test_sound_of_all_allowed_rates_and_layouts_is_decoded(rate: int, layout: str) -> None:
    assert 15_500 <= len(decode_audio(media.sound("mp4", "aac", rate=rate, layout=layout), ContentType.AUDIO_MP4)) <= 19_200


def test_sound_of_another_rate_is_refused() -> None:
    with pytest.raises(MediaError) as error:
        decode_audio(media.sound("mp4", "aac", rate=7350), ContentType.AUDIO_MP4)
    assert error.value.reason == "unsupported"


def _without_vui(film: bytes) -> bytes:
    """The film without the part of its H.264 header that says how far frames are reordered, as some cameras write it."""
    at = film.index(b"avcC") + 12
    size = int.from_bytes(film[at - 2 : at], "big")
    bits = _Bits(film[at : at + size])
    bits.skip(32)  # type, profile, constraints, level
    for _ in range(2):  # id, length of a frame number
        bits.golomb()
    if bits.golomb() == 0:  # kind of order
        bits.golomb()
    bits.golomb()  # frames that may be referred to
    bits.skip(1)
    for _ in range(2):  # width, height
        bits.golomb()
    bits.skip(3)  # progressive, direct, not cropped
    bits.set_end()
    return film[:at] + bits.bytes().ljust(size, b"\0") + film[at + size :]


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data)
        self._at = 0

    def skip(self, count: int) -> None:
        self._at += count

    def golomb(self) -> int:
        """A number that is coded with as many zeros before it as bits after its first one."""
        zeros = self._bits.index("1", self._at) - self._at
        value = int(self._bits[self._at + zeros : self._at + 2 * zeros + 1], 2)
        self._at += 2 * zeros + 1
        return value - 1

    def set_end(self) -> None:
        """Nothing more follows but the bit that ends the header."""
        self._bits = self._bits[: self._at] + "01"

    def bytes(self) -> bytes:
        padded = self._bits + "0" * (-len(self._bits) % 8)
        return int(padded, 2).to_bytes(len(padded) // 8, "big")
