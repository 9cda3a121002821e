"""The protocol of explainers, and a window's nodes as the players of a cooperative game.

N is the number of rows of a window's tensors, W words + A segments + V frames, and n the number of these rows that are nodes. A node is
removed by its mask, as the model masks padding. The earlier windows stay as they are: they belong to every coalition of nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.inference import NODE_TENSORS, Inference, WindowInputs
from stream.domain.modality import Modality

Value = Callable[[Sequence[WindowInputs]], Floats]
"""Scores (B,) of B windows of equal shape, with all modalities and the earlier windows."""

Answers = Callable[[Sequence[WindowInputs]], Sequence[Inference]]
"""Full answers of the model to windows of equal shape."""

Kept = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Order = npt.NDArray[np.int64]

BATCH = 32
"""Windows that are scored together: the largest batch of the served model."""


class Explainer(Protocol):
    """Says what each node of a window adds to its score."""

    def __call__(self, inputs: WindowInputs, value: Value, /) -> Floats:
        """(N,) signed relevance, in the order of the tensors: words, segments, frames; 0 where there is no node."""


class Game:
    """The game of one window: coalitions of its nodes and their scores.

    Attributes:
        nodes: (n,) positions of the nodes among the N rows.
        rows: N.
    """

    def __init__(self, inputs: WindowInputs, value: Value) -> None:
        self._inputs, self._value = inputs, value
        self._sizes = (len(inputs.word_mask), len(inputs.audio_mask), len(inputs.video_mask))
        self.rows = sum(self._sizes)
        self.nodes: Order = np.flatnonzero(node_mask(inputs))

    def __len__(self) -> int:
        """Number n of players."""
        return len(self.nodes)

    def __call__(self, kept: Kept) -> Doubles:
        """Scores (k,) of (k, n) coalitions, True where a node is kept."""
        scores = [self._value([self.window(row) for row in kept[start : start + BATCH]]) for start in range(0, len(kept), BATCH)]
        return np.concatenate(scores).astype(np.float64) if scores else np.zeros(0)

    def window(self, kept: Kept) -> WindowInputs:
        """The window with some of its (n,) nodes only. It is for the model: the fields that name its nodes still name all of them."""
        mask = np.zeros(self.rows, np.float32)
        mask[self.nodes] = kept
        words, audio, video = np.split(mask, np.cumsum(self._sizes)[:2])
        return replace(self._inputs, word_mask=words, audio_mask=audio, video_mask=video)

    def ends(self) -> tuple[float, float]:
        """Scores with all nodes and without any."""
        everything, nothing = self(np.stack([np.ones(len(self), np.bool_), np.zeros(len(self), np.bool_)]))
        return float(everything), float(nothing)

    def spread(self, values: npt.NDArray[np.floating]) -> Floats:
        """Put (n,) values of the nodes into (N,) rows, with zeros between them."""
        rows = np.zeros(self.rows, np.float32)
        rows[self.nodes] = values
        return rows


def node_mask(inputs: WindowInputs) -> Floats:
    """(N,) float32, 1 where there is a node."""
    return np.concatenate([getattr(inputs, names.mask) for names in NODE_TENSORS.values()])


def node_pool(windows: Sequence[WindowInputs]) -> dict[Modality, Floats]:
    """(m, width) by modality: the nodes of all windows, at least one of which must be given."""
    return {
        modality: np.concatenate([getattr(inputs, names.values)[getattr(inputs, names.mask) > 0] for inputs in windows])
        for modality, names in NODE_TENSORS.items()
    }


def mean_nodes(windows: Sequence[WindowInputs]) -> dict[Modality, Floats]:
    """(width,) by modality: the mean node of some windows; zeros where they have none."""
    return {m: nodes.mean(axis=0) if len(nodes) else np.zeros(nodes.shape[1], np.float32) for m, nodes in node_pool(windows).items()}
