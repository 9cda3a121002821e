from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stream.domain.evidence import SpanEvidence
from stream.domain.media_format import FACE_CELLS, FACE_WIDTH
from stream.explain.face_maps import cell_relevance, face_maps, grad_cam_of_cells
from tests.fakes.windows import VIDEO_NODES, make_inference, make_inputs, make_window

RNG = np.random.default_rng(0)
CELLS = RNG.normal(size=(2, *FACE_CELLS)).astype(np.float16)
SLOPE = RNG.normal(size=(VIDEO_NODES, FACE_WIDTH)).astype(np.float32)
FIRST, SECOND = SpanEvidence(4000, 4200, 0.1234), SpanEvidence(4200, 4400, -0.0301)


def maps_of(*frames: SpanEvidence, known: bool = True) -> tuple[tuple[int, tuple[int, ...]], ...]:
    inputs = replace(make_inputs(make_window(["so"], 0, 2)), video_cells=CELLS)
    inference = replace(make_inference([0.0] * 8), face_slope=SLOPE if known else None)
    return tuple((found.start_ms, found.cells) for found in face_maps(inputs, inference, frames))


def test_the_cells_of_a_map_add_up_to_the_relevance_of_its_frame() -> None:
    (first_ms, first), (second_ms, second) = maps_of(FIRST, SECOND)
    assert (first_ms, second_ms) == (4000, 4200)
    assert (sum(first), sum(second)) == (1234, -301)
    assert (len(first), len(second)) == (36, 36)


def test_each_frame_has_its_own_cells_in_whatever_order_the_frames_come() -> None:
    assert maps_of(SECOND, FIRST) == tuple(reversed(maps_of(FIRST, SECOND)))
    assert maps_of(SECOND) == maps_of(FIRST, SECOND)[1:]


def test_the_order_of_the_cells_is_that_of_their_linear_parts_even_if_the_relevance_has_the_other_sign() -> None:
    parts = CELLS[0].astype(np.float32) @ SLOPE[0] / 36
    for relevance in (float(parts.sum()), -float(parts.sum()), 0.0):
        found = cell_relevance(CELLS[0], SLOPE[0], relevance)
        assert found.sum() == pytest.approx(relevance, abs=1e-4)
        assert np.argsort(found).tolist() == np.argsort(parts).tolist()


def test_without_cells_or_slope_there_is_no_map() -> None:
    assert maps_of(FIRST, known=False) == ()
    inputs = make_inputs(make_window(["so"], 0, 2))
    assert face_maps(inputs, replace(make_inference([0.0] * 8), face_slope=SLOPE), [FIRST]) == ()


def test_grad_cam_has_evidence_for_the_score_alone() -> None:
    for sign in (1.0, -1.0):
        found = grad_cam_of_cells(CELLS[0], SLOPE[0], sign)
        assert found.shape == (36,)
        assert (sign * found >= 0).all()
        assert (found != 0).any()


def test_grad_cam_of_one_channel_is_its_map() -> None:
    cells = np.zeros(FACE_CELLS, np.float16)
    cells[:, 0] = np.linspace(0.0, 1.0, 36)
    slope = np.zeros(FACE_WIDTH, np.float32)
    slope[0] = 2.0
    found = grad_cam_of_cells(cells, slope, 1.0)
    np.testing.assert_allclose(found / found.max(), cells[:, 0].astype(np.float32), atol=1e-3)
    assert not grad_cam_of_cells(cells, slope, -1.0).any(), "the channel speaks against a score below zero"
