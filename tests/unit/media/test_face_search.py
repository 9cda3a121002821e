"""One search a chunk, and what is followed between. A fake detector finds painted patches, so that searches can be counted."""

from __future__ import annotations

from itertools import islice
from typing import cast

import av
import cv2
import numpy as np
import pytest

from stream.media.face_detector import LARGE, MAX_FACES, SMALLEST, Face, FaceDetector, Reduced, Square
from stream.media.face_search import LARGE_FROM, MAX_SEARCHES_OF_ALL_SIZES, FaceSearch
from stream.media.faces import Box, overlap
from stream.media.picture import Picture
from stream.produce.sample import FACES

HEIGHT, WIDTH = 240, 320
SIDE = 100


class Finder:
    """Finds the faces it was told of, of the searched sizes, in the picture that it was told of, and counts its searches."""

    def __init__(self) -> None:
        self.shown: dict[bytes, list[Square]] = {}
        self.searches: list[float] = []

    def quick_squares(self, small: Picture) -> list[Square]:
        return self._search(small, SMALLEST)

    def large_squares(self, small: Picture) -> list[Square]:
        return self._search(small, LARGE)

    def _search(self, small: Picture, smallest: float) -> list[Square]:
        self.searches.append(smallest)
        found = [square for square in self.shown.get(small.tobytes(), []) if square.side >= smallest * min(small.shape)]
        return sorted(found, key=lambda square: -square.side)

    def frame(self, *people: tuple[int, float, float, int], size: tuple[int, int] = (HEIGHT, WIDTH)) -> Picture:
        """A picture of people: a number for how they look, the corner and the side of their faces."""
        picture = _pattern(99, max(size))[: size[0], : size[1]].copy()
        for looks, x, y, side in people:
            picture[int(y) : int(y) + side, int(x) : int(x) + side] = _pattern(looks, side)
        self.shown[picture.tobytes()] = [Square(x, y, side) for _, x, y, side in people]
        return picture


def _pattern(seed: int, side: int) -> Picture:
    noise = np.random.default_rng(seed).integers(0, 255, (12, 12), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture
def finder() -> Finder:
    return Finder()


def _found(finder: Finder, frames: list[Picture]) -> list[list[Face]]:
    search = FaceSearch(cast("FaceDetector", finder))
    return [search.faces(frame) for frame in frames]


def _box(x: float, y: float, side: float, width: int = WIDTH, height: int = HEIGHT) -> Box:
    return x / width, y / height, (x + side) / width, (y + side) / height


def test_a_face_is_searched_for_once_and_followed(finder: Finder) -> None:
    places = [(60, 50), (66, 52), (85, 60), (110, 48), (111, 40)]
    found = _found(finder, [finder.frame((1, x, y, SIDE)) for x, y in places])
    assert finder.searches == [LARGE]
    for faces, (x, y) in zip(found, places, strict=True):
        assert [face.box for face in faces] == [pytest.approx(_box(x, y, SIDE), abs=0.5 / HEIGHT)]
        assert faces[0].crop.shape == (48, 48)


def test_nobody_costs_one_full_search(finder: Finder) -> None:
    assert _found(finder, [finder.frame() for _ in range(5)]) == [[]] * 5
    assert finder.searches == [LARGE, SMALLEST, LARGE, LARGE, LARGE, LARGE]


def test_a_single_picture_is_searched_for_large_faces_and_then_for_all_sizes(finder: Finder) -> None:
    assert len(_found(finder, [finder.frame((1, 50, 50, SIDE))])[0]) == 1
    assert finder.searches == [LARGE]
    assert len(_found(finder, [finder.frame((1, 50, 50, 40))])[0]) == 1
    assert finder.searches == [LARGE, LARGE, SMALLEST]


def test_a_face_close_to_the_smallest_large_one_does_not_hide_a_smaller_one(finder: Finder) -> None:
    just_large = int(LARGE_FROM * HEIGHT) - 1
    (faces,) = _found(finder, [finder.frame((1, 20, 20, just_large), (2, 180, 20, 60))])
    assert len(faces) == 2
    assert finder.searches == [LARGE, SMALLEST]


def test_after_a_cut_the_frame_is_searched_again(finder: Finder) -> None:
    before, after = finder.frame((1, 60, 50, SIDE)), finder.frame((2, 180, 90, SIDE))
    found = _found(finder, [before, before, after, after, after])
    assert [faces[0].box for faces in found] == [pytest.approx(_box(60, 50, SIDE))] * 2 + [pytest.approx(_box(180, 90, SIDE))] * 3
    assert finder.searches == [LARGE, LARGE]


def test_a_cut_to_a_small_face_costs_a_full_search(finder: Finder) -> None:
    before, after = finder.frame((1, 60, 50, SIDE)), finder.frame((2, 180, 90, 45))
    assert [len(faces) for faces in _found(finder, [before, after, after])] == [1, 1, 1]
    assert finder.searches == [LARGE, LARGE, SMALLEST]


def test_faces_that_come_and_go_cost_a_bounded_number_of_searches_of_all_sizes(finder: Finder) -> None:
    frames = [finder.frame((number, 30 + 40 * number, 20 + 30 * number, 45)) for number in range(5)]
    _found(finder, frames)
    assert finder.searches.count(SMALLEST) == MAX_SEARCHES_OF_ALL_SIZES
    assert finder.searches.count(LARGE) == 5


def test_a_face_that_appears_is_found_if_it_is_large(finder: Finder) -> None:
    nobody, somebody = finder.frame(), finder.frame((1, 60, 50, SIDE))
    assert [len(faces) for faces in _found(finder, [nobody, nobody, somebody, somebody])] == [0, 0, 1, 1]
    assert finder.searches == [LARGE, SMALLEST, LARGE, LARGE]


def test_a_second_face_is_noticed_in_the_next_chunk(finder: Finder) -> None:
    alone, both = finder.frame((1, 40, 50, SIDE)), finder.frame((1, 40, 50, SIDE), (2, 190, 60, 90))
    assert [len(faces) for faces in _found(finder, [alone, both, both])] == [1, 1, 1]
    assert [len(faces) for faces in _found(finder, [both])] == [2]


def test_one_of_two_faces_that_goes_is_looked_for(finder: Finder) -> None:
    alone, both = finder.frame((1, 40, 50, SIDE)), finder.frame((1, 40, 50, SIDE), (2, 190, 60, 90))
    assert [len(faces) for faces in _found(finder, [both, alone, both])] == [2, 1, 2]


def test_two_faces_that_cross_are_never_at_one_place(finder: Finder) -> None:
    places = [(60, 170), (85, 145), (110, 112), (135, 85), (160, 60)]
    frames = [finder.frame((1, left, 60, 90), (2, right, 70, 90)) for left, right in places]
    finder.shown[frames[2].tobytes()] = [Square(112, 70, 90)]
    for faces in _found(finder, frames):
        boxes = [face.box for face in faces]
        assert boxes
        assert all(overlap(a, b) < 0.5 for a in boxes for b in boxes if a is not b)
    assert len(boxes) == 2
    assert sorted(boxes)[0] == pytest.approx(_box(60, 70, 90), abs=0.01)


def test_faces_are_given_largest_first(finder: Finder) -> None:
    frame = finder.frame((1, 20, 20, 90), (2, 180, 60, 120))
    for faces in _found(finder, [frame, frame]):
        assert [round((face.box[2] - face.box[0]) * WIDTH) for face in faces] == [120, 90]


def test_another_size_of_the_picture_is_searched_again(finder: Finder) -> None:
    frames = [finder.frame((1, 60, 50, SIDE)), finder.frame((1, 20, 30, 80), size=(160, 200))]
    found = _found(finder, frames)
    assert found[1][0].box == pytest.approx(_box(20, 30, 80, 200, 160))
    assert finder.searches == [LARGE, LARGE]


def test_a_face_that_leaves_the_picture_keeps_its_box_inside(finder: Finder) -> None:
    shown = finder.frame((1, 200, 10, SIDE))
    leaving = [np.roll(shown, 25 * number, axis=1) for number in range(1, 6)]
    for faces in _found(finder, [shown, *leaving]):
        for face in faces:
            left, top, right, bottom = face.box
            assert 0 <= left < right <= 1
            assert 0 <= top < bottom <= 1


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_shows_nobody(finder: Finder, level: int) -> None:
    flat = np.full((HEIGHT, WIDTH), level, np.uint8)
    assert [len(faces) for faces in _found(finder, [finder.frame((1, 60, 50, SIDE)), flat])] == [1, 0]


def test_the_crop_is_cut_from_the_full_size_picture(finder: Finder) -> None:
    small = finder.frame((1, 60, 50, SIDE))
    large = np.asarray(cv2.resize(small, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_NEAREST), np.uint8)
    large[100:300:2, 120:320:2] = 0
    finder.shown[np.asarray(cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)).tobytes()] = [Square(60, 50, SIDE)]
    ((face,), (again,)) = _found(finder, [large, large])
    assert face.box == again.box == _box(60, 50, SIDE)
    np.testing.assert_array_equal(face.crop, cv2.resize(large[100:300, 120:320], (48, 48), interpolation=cv2.INTER_AREA))
    np.testing.assert_array_equal(face.crop, again.crop)


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (20, 2000), (48, 48), (64, 40)])
def test_tiny_and_long_pictures_show_nobody(size: tuple[int, int]) -> None:
    search = FaceSearch(FaceDetector())
    assert [search.faces(np.zeros(size, np.uint8)) for _ in range(2)] == [[], []]


@pytest.mark.parametrize("size", [(1, 2000), (20, 320), (48, 48), (66, 66), (240, 320)])
def test_a_search_for_large_faces_finds_none_in_noise(size: tuple[int, int]) -> None:
    assert FaceDetector().large_squares(np.random.default_rng(3).integers(0, 255, size, dtype=np.uint8)) == []


@pytest.fixture(scope="module")
def seconds_of_faces() -> list[list[Picture]]:
    """The sampled frames of each second of the packaged sample; somebody else is shown every three seconds."""
    with av.open(str(FACES)) as film:
        pictures = [np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in islice(film.decode(video=0), 0, None, 5)]
    return [pictures[start : start + 5] for start in range(0, len(pictures), 5)]


def test_real_faces_are_followed_where_a_search_of_every_frame_finds_them(seconds_of_faces: list[list[Picture]]) -> None:
    detector = FaceDetector()
    for pictures in seconds_of_faces[::6]:
        search = FaceSearch(detector)
        found = [search.faces(picture) for picture in pictures]
        for picture, faces in list(zip(pictures, found, strict=True))[::2]:
            assert len(faces) == 1
            assert overlap(faces[0].box, detector.faces(picture)[0].box) > 0.7


def test_a_cut_between_real_people_at_the_same_place_is_noticed(seconds_of_faces: list[list[Picture]]) -> None:
    detector = FaceDetector()
    pictures = [*seconds_of_faces[1][:2], *seconds_of_faces[4][:3]]
    search = FaceSearch(detector)
    found = [search.faces(picture) for picture in pictures]
    alone = FaceSearch(detector)
    assert [faces[0].box for faces in found[2:]] == [alone.faces(picture)[0].box for picture in pictures[2:]]


def test_a_chunk_gives_the_same_faces_again(seconds_of_faces: list[list[Picture]]) -> None:
    detector = FaceDetector()

    def once() -> list[tuple[Box, bytes]]:
        search = FaceSearch(detector)
        return [(face.box, face.crop.tobytes()) for picture in seconds_of_faces[0] for face in search.faces(picture)]

    first = once()
    for picture in seconds_of_faces[9]:
        FaceSearch(detector).faces(picture)
    assert once() == first


def test_large_faces_are_placed_as_by_a_search_for_all_sizes(seconds_of_faces: list[list[Picture]]) -> None:
    detector = FaceDetector()
    for pictures in seconds_of_faces[::3]:
        small = Reduced.of(pictures[0]).small
        (found,), (expected, *_) = detector.large_squares(small), detector.squares(small)
        assert abs(found.side / expected.side - 1) < 0.15
        for place, right in ((found.x, expected.x), (found.y, expected.y)):
            assert place + found.side / 2 == pytest.approx(right + expected.side / 2, abs=0.05 * expected.side)


def test_a_picture_made_of_faces_gives_a_bounded_number(seconds_of_faces: list[list[Picture]]) -> None:
    detector = FaceDetector()
    small = Reduced.of(seconds_of_faces[0][0]).small
    square = detector.squares(small)[0]
    x, y, side = (int(value) for value in square)
    face = cv2.resize(small[max(0, y - 10) : y + side + 10, max(0, x - 10) : x + side + 10], (100, 100), interpolation=cv2.INTER_AREA)
    found = detector.large_squares(np.asarray(np.tile(face, (3, 4)), np.uint8))
    assert 4 <= len(found) <= MAX_FACES
    assert not any(a.is_at(b) for a in found for b in found if a is not b)
