"""Windows with a handful of nodes, and models whose score of each coalition of them is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.explain.methods.value import Value, node_mask
from tests.fakes.windows import make_inputs, make_window

WORDS, SEGMENTS, FRAMES = 4, 3, 2


def small_window() -> WindowInputs:
    """Four words, three segments and two frames among padding."""
    return make_inputs(make_window([f"word{number}" for number in range(WORDS)], segments=SEGMENTS, frames=FRAMES))


def additive(weights: Floats, base: float = 0.0) -> Value:
    """The score is the sum of the (n,) weights of the nodes that are there."""

    def value(windows: Sequence[WindowInputs]) -> Floats:
        nodes = np.flatnonzero(node_mask(small_window()))
        return np.array([base + float(node_mask(inputs)[nodes] @ weights) for inputs in windows], np.float32)

    return value


def pair(first: int, second: int) -> Value:
    """The score is 1 if two of the nodes are there together, else 0."""

    def value(windows: Sequence[WindowInputs]) -> Floats:
        nodes = np.flatnonzero(node_mask(small_window()))
        return np.array([float(node_mask(inputs)[nodes[[first, second]]].all()) for inputs in windows], np.float32)

    return value
