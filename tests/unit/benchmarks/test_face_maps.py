from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from benchmarks.face_maps import CELLS, REMOVED, SIDE, Faces, Shown, blanked, judged
from stream.domain.features import Floats


class BrightnessNetwork:
    """A face scores the brightness of its top left cell."""

    def scores(self, faces: Floats) -> Floats:
        found: Floats = faces[:, 0, :SIDE, :SIDE].mean(axis=(1, 2))
        return found


def test_a_cell_is_blanked_where_the_map_says_it_is() -> None:
    cells = np.zeros((1, CELLS), np.bool_)
    cells[0, 7] = True
    left = blanked(np.ones((1, 1, 48, 48), np.float32), cells)[0, 0]
    assert not left[8:16, 8:16].any()
    assert left.sum() == 48 * 48 - 64


def test_a_map_that_names_the_right_cell_loses_all_without_it_and_nothing_with_it_alone() -> None:
    faces = np.ones((2, 1, 48, 48), np.float32) * np.array([1.0, -1.0], np.float32).reshape(2, 1, 1, 1)
    right = np.zeros((2, CELLS), np.float32)
    right[:, 0] = [1.0, -1.0]
    shown = Shown(cast(Faces, BrightnessNetwork()), faces, np.array([1.0, -1.0], np.float32), 0.0, right)
    assert judged(shown, right) == {"comprehensiveness": 1.0, "sufficiency": 0.0, "sign": 1.0}
    wrong = np.roll(right, CELLS - 1, axis=1)
    found = judged(shown, wrong)
    # The last cell goes first, and then the others in their order: only with one cell is nothing lost.
    assert found["comprehensiveness"] == pytest.approx(1.0 - REMOVED.count(1) / len(REMOVED), abs=1e-3)
    assert found["sign"] == 0.0
