from __future__ import annotations

import numpy as np
import pytest

from stream.media.faces import Box, FaceFrame, FaceTracker, overlap

LEFT: Box = (0.1, 0.1, 0.4, 0.6)
RIGHT: Box = (0.5, 0.1, 0.9, 0.7)


def _frame(time_ms: int, *boxes: Box) -> FaceFrame:
    crops = np.stack([np.full((48, 48), round(box[0] * 100), np.uint8) for box in boxes]) if boxes else np.empty((0, 48, 48), np.uint8)
    return FaceFrame(time_ms, boxes, crops)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 1, 1), (0.5, 0, 1.5, 1)) == pytest.approx(1 / 3)
    assert overlap(LEFT, RIGHT) == 0.0


def test_the_largest_face_is_followed_and_each_frame_lasts_until_the_next() -> None:
    followed = FaceTracker().follow((_frame(0, RIGHT, LEFT), _frame(200), _frame(400, LEFT, RIGHT)), 3000, 1000)
    assert followed.spans_ms.tolist() == [[3000, 3200], [3400, 4000]]
    assert followed.boxes.shape == (2, 4)
    assert followed.crops[:, 0, 0].tolist() == [50, 50]
    assert (followed.faces_max, followed.frames) == (2, 3)


def test_a_larger_face_that_appears_later_does_not_take_over() -> None:
    tracker = FaceTracker()
    tracker.follow((_frame(0, LEFT),), 0, 1000)
    assert tracker.follow((_frame(0, RIGHT, LEFT),), 1000, 1000).crops[0, 0, 0] == 10


def test_another_face_is_followed_only_after_the_first_has_been_gone_for_a_while() -> None:
    tracker = FaceTracker(patience_ms=1000)
    tracker.follow((_frame(0, LEFT),), 0, 1000)
    within_patience = tracker.follow((_frame(0, RIGHT), _frame(500, LEFT)), 500, 1000)
    assert within_patience.crops[:, 0, 0].tolist() == [10]
    after_patience = tracker.follow((_frame(0, RIGHT),), 2500, 1000)
    assert after_patience.crops[:, 0, 0].tolist() == [50]


def test_media_time_that_starts_over_forgets_the_face() -> None:
    tracker = FaceTracker()
    tracker.follow((_frame(0, LEFT),), 5000, 1000)
    assert tracker.follow((_frame(0, RIGHT),), 0, 1000).crops[0, 0, 0] == 50


def test_no_face_and_frames_past_the_end() -> None:
    no_face = FaceTracker().follow((_frame(0), _frame(200)), 0, 1000)
    assert (no_face.crops.shape, no_face.boxes.shape, no_face.spans_ms.shape) == ((0, 48, 48), (0, 4), (0, 2))
    assert no_face.frames == 2
    late = FaceTracker().follow((_frame(0, LEFT), _frame(1100, LEFT)), 0, 1000)
    assert late.spans_ms.tolist() == [[0, 1000]]
