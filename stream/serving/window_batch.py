"""Windows of one length as one request to the ``mmci`` model."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import COALITIONS, INPUT_NAMES, LABELS, NODE_TENSORS, Extra, WindowInputs
from stream.domain.media_format import FACE_WIDTH
from stream.domain.modality import Modality

WORD_ROWS = 8
"""A window is sent with as many of its rows for words as it needs, in steps of this. Most windows need half of them.

What is sent is a function of the window alone, whoever shares its request: a replay asks the same again.
"""

OF_COALITIONS = frozenset({"coalition_scores", "coalition_probabilities"})
"""Outputs that say what the model makes of each coalition, and nothing of nodes."""

OF_WINDOWS = OF_COALITIONS | {"causal", "relevance", "to_review", "arousal"}
"""Outputs for a published record, besides the `Extra` ones."""

_OF_WORDS = frozenset({"causal", "relevance", Extra.WORD_EFFECTS})
"""Outputs that begin with a value for each row of words."""


class WindowBatch:
    """Windows with equal `sort`.

    Args:
        windows: At least one.
    """

    def __init__(self, windows: Sequence[WindowInputs]) -> None:
        self._windows = windows
        self._capacity = len(windows[0].words)
        self._word_rows = _word_rows(windows[0])

    def tensors(self) -> dict[str, Floats]:
        """The inputs by name, (n, ...) of n windows."""
        kept = dict.fromkeys(NODE_TENSORS[Modality.TEXT][:3], self._word_rows)
        return {name: np.stack([getattr(inputs, name)[: kept.get(name)] for inputs in self._windows]) for name in INPUT_NAMES}

    def shapes(self, outputs: Collection[str]) -> dict[str, tuple[int, ...]]:
        """The shapes of some outputs."""
        nodes = sum(_nodes(self._windows[0])) - self._capacity + self._word_rows
        of_row = {
            "coalition_scores": (COALITIONS,),
            "coalition_probabilities": (COALITIONS, len(LABELS)),
            "causal": (nodes,),
            "relevance": (nodes,),
            "to_review": (1,),
            "arousal": (1,),
            Extra.FACE_SLOPE: (len(self._windows[0].video), FACE_WIDTH),
            Extra.WORD_EFFECTS: (self._word_rows,),
        }
        return {name: (len(self._windows), *shape) for name, shape in of_row.items() if name in outputs}

    def with_all_words(self, answer: Mapping[str, Floats]) -> dict[str, Floats]:
        """An answer with values for the rows of words that were not sent, too: 0, as the model says of rows without a word."""
        return {name: self._padded(values) if name in _OF_WORDS else values for name, values in answer.items()}

    def _padded(self, values: Floats) -> Floats:
        padding = np.zeros((len(values), self._capacity - self._word_rows), values.dtype)
        return np.concatenate([values[:, : self._word_rows], padding, values[:, self._word_rows :]], axis=1)


def sort(inputs: WindowInputs) -> Hashable:
    """Windows of one length, with about as many words, can share a request."""
    return _nodes(inputs), _word_rows(inputs)


def _nodes(inputs: WindowInputs) -> tuple[int, int, int]:
    """Rows of each modality. Windows of one length have the same rows."""
    return len(inputs.words), len(inputs.audio), len(inputs.video)


def _word_rows(inputs: WindowInputs) -> int:
    """Rows up to the last word, in steps of `WORD_ROWS`."""
    filled = np.flatnonzero(inputs.word_mask)
    needed = int(filled[-1]) + 1 if len(filled) else 1
    return min(len(inputs.words), -(-needed // WORD_ROWS) * WORD_ROWS)
