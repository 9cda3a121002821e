"""Where in a face the relevance of its frame lies: a signed number for each of 6 by 6 regions, for and against. Never a picture.

The embedding of a face is the mean of what its cells have in it, so the derivative g of the score weighs them: part_c = g . x_c / 36. The
derivative is that of the score with all modalities, not of the face encoder's own head. The relevance of the frame is more than this linear
part: the difference is spread evenly, so that the order of the cells stays and the cells add up to the relevance. (A factor in its place
would blow up, or turn the map round, where the linear part is small or of the other sign.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.domain.evidence import SpanEvidence
from stream.domain.features import Floats, Halves
from stream.domain.inference import Inference, WindowInputs
from stream.domain.result import FaceMap
from stream.explain.grad_cam import grad_cam_plus_plus
from stream.explain.rounding import DECIMALS, apportioned_units

UNIT = 10**-DECIMALS
"""Score points of a unit of `FaceMap.cells`."""


def face_maps(inputs: WindowInputs, inference: Inference, frames: Sequence[SpanEvidence]) -> tuple[FaceMap, ...]:
    """The maps of the given frames, in their order; none where the cells or the derivative are not known."""
    if inputs.video_cells is None or inference.face_slope is None:
        return ()
    rows = {span: row for row, span in enumerate(inputs.video_spans_ms)}
    maps = []
    for frame in frames:
        row = rows[frame.start_ms, frame.end_ms]
        parts = cell_relevance(inputs.video_cells[row], inference.face_slope[row], frame.relevance)
        maps.append(FaceMap(frame.start_ms, tuple(apportioned_units(parts.tolist(), frame.relevance))))
    return tuple(maps)


def grad_cam_of_cells(cells: Halves, slope: Floats, sign: float) -> Floats:
    """Grad-CAM++ of one face, whose feature map is what the cells have in the embedding.

    Args:
        cells: (n, width) what the cells have in the embedding.
        slope: (width,) derivative of the score with respect to the embedding.
        sign: 1.0, or -1.0 for a score below zero.

    Returns:
        (n,) relevance, see `stream.explain.grad_cam`.
    """
    return grad_cam_plus_plus(cells, np.broadcast_to(slope / len(cells), cells.shape), sign)


def cell_relevance(cells: Halves, slope: Floats, relevance: float) -> Floats:
    """Relevance of the cells of one face; they add up to `relevance`.

    Args:
        cells: (n, width) what the cells have in the embedding.
        slope: (width,) derivative of the score with respect to the embedding.
        relevance: Relevance of the frame in score points.

    Returns:
        (n,) score points.
    """
    parts = cells.astype(np.float64) @ slope.astype(np.float64) / len(cells)
    evened: Floats = (parts + (relevance - parts.sum()) / len(cells)).astype(np.float32)
    return evened
