from __future__ import annotations

import numpy as np

from stream.encoders.speaker import PRIOR_S, centred, speaker_offset


def test_nothing_is_subtracted_before_anything_was_heard() -> None:
    assert speaker_offset(np.zeros((0, 3)), np.zeros(0, np.int64)).tolist() == [0.0] * 3
    assert speaker_offset(np.ones((2, 3)), np.zeros(2, np.int64)).tolist() == [0.0] * 3


def test_after_a_minute_of_voice_half_of_the_mean_is_subtracted() -> None:
    assert PRIOR_S == 60.0
    assert speaker_offset(np.array([[2.0, -4.0]]), np.array([600])).tolist() == [1.0, -2.0]
    assert speaker_offset(np.array([[2.0, -4.0]]), np.array([200])).tolist() == [0.5, -1.0]


def test_windows_count_by_their_seconds_of_voice() -> None:
    means, segments = np.array([[1.0], [5.0], [100.0]]), np.array([150, 50, 0])
    assert speaker_offset(means, segments).tolist() == [0.5]


def test_padding_is_not_centred() -> None:
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]], np.float32)
    found = centred(rows, np.array([1, 1, 0], np.float32), np.array([0.5, 1.0], np.float32))
    assert found.tolist() == [[0.5, 1.0], [2.5, 3.0], [0.0, 0.0]]
    assert found.dtype == np.float32
