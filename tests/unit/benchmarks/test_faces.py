"""The benchmark of finding faces: what it counts, the chunks it puts together, and its guards."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.face_runs.clips import Tally
from benchmarks.face_runs.composites import FRAMES, KINDS, SIZE, Head, Maker
from benchmarks.faces import PAIR, SMALLEST, missed
from stream.media.faces import Box

BOX: Box = (0.2, 0.2, 0.4, 0.6)


def _tally(found: int, faces: int = 100, false: int = 0) -> Tally:
    return Tally(faces, found, false, [1.0])


def test_boxes_on_a_face_count_and_others_are_false() -> None:
    tally = Tally(chunk_ms=[2.0])
    tally.add([BOX], [(0.21, 0.2, 0.41, 0.6), (0.7, 0.2, 0.9, 0.6)])
    tally.add([BOX], [])
    tally.add([], [BOX])
    assert tally.row() == {"faces": 2, "found": 1, "rate": 0.5, "false": 2, "ms": 2.0}


@pytest.mark.parametrize(
    ("kind", "faces"), [(PAIR, 2), (SMALLEST, 1), ("nobody", 0), ("a cut to somebody else", 1), ("two faces cross", 2)]
)
def test_chunks_show_heads_at_the_places_that_they_name(kind: str, faces: int) -> None:
    white = Head(np.full((90, 90), 255, np.float32), np.ones((90, 90), np.float32))
    for frame in (chunk := KINDS[kind](Maker([white, white], np.random.default_rng(0)))):
        assert frame.picture.shape == SIZE
        assert len(frame.boxes) == faces
        for left, top, right, bottom in frame.boxes:
            x, y = round((left + right) / 2 * SIZE[1]), round((top + bottom) / 2 * SIZE[0])
            assert frame.picture[y - 5 : y + 5, x - 5 : x + 5].min() > 230
    assert len(chunk) == FRAMES


def test_a_guard_that_is_missed_is_named() -> None:
    well = {kind: (_tally(100), _tally(98)) for kind in (SMALLEST, PAIR)}
    scores = {"mean": 0.05, "p95": 0.2, "flips": 0}
    assert missed((_tally(99), _tally(99)), well, scores) == []
    assert missed((_tally(99), _tally(99)), well, None) == []
    badly = well | {PAIR: (_tally(100), _tally(97))}
    found = missed((_tally(99), _tally(98, false=1)), badly, scores | {"p95": 0.21, "flips": 1})
    assert [line.split(":")[0] for line in found] == ["films", "films", PAIR, "score change, p95", "score change, flips"]
