"""Exchange of nodes for nodes of other windows: deletion that leaves no gap, after ROAD (Rong et al., arXiv 2202.00449)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.domain.modality import MODALITIES, Modality
from stream.explain.methods.value import BATCH, Game, Value
from stream.explain.quality.erasure import ranking

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of the nodes that are exchanged."""
DRAWS = 4
"""Times that each of them is drawn."""


def exchanged_drop(inputs: WindowInputs, relevance: Floats, value: Value, donors: Mapping[Modality, Floats], seed: int) -> float:
    """Mean fall of the score, in its direction, when the most relevant nodes become nodes of other windows.

    Args:
        inputs: The window.
        relevance: (N,) relevance.
        value: The model.
        donors: (m, width) by modality, nodes of other windows.
        seed: Seed of the draws; equal for all methods, so that they meet the same donors.
    """
    game = Game(inputs, value)
    everything, nothing = game.ends()
    sign = 1.0 if everything >= nothing else -1.0
    order = game.nodes[ranking(relevance[game.nodes], sign)]
    windows = [
        _exchanged(inputs, order[: max(1, round(share * len(order)))], donors, np.random.default_rng([seed, draw]))
        for share in SHARES
        for draw in range(DRAWS)
    ]
    scores = np.concatenate([value(windows[start : start + BATCH]) for start in range(0, len(windows), BATCH)])
    return float(np.mean(sign * (everything - scores)))


def _exchanged(inputs: WindowInputs, rows: np.ndarray, donors: Mapping[Modality, Floats], rng: np.random.Generator) -> WindowInputs:
    """The window with some of its N rows replaced."""
    values = [inputs.words.copy(), inputs.audio.copy(), inputs.video.copy()]
    first = 0
    for modality, own in zip(MODALITIES, values, strict=True):
        drawn = donors[modality][rng.integers(0, len(donors[modality]), len(own))]
        chosen = rows[(rows >= first) & (rows < first + len(own))] - first
        own[chosen] = drawn[chosen]
        first += len(own)
    return replace(inputs, words=values[0], audio=values[1], video=values[2])
