"""Small synthetic rows of features: honest ones, and the same with a planted artefact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from research.shortcuts.plants import KnownPlant
from research.shortcuts.rows import Rows
from stream.domain.features import Floats
from stream.domain.modality import Modality

WIDTHS = {Modality.TEXT: 40, Modality.AUDIO: 24, Modality.VIDEO: 24}


def honest(rows: int = 900, seed: int = 0) -> Rows:
    """Rows with correlated features, of which the text gives the label away by degrees."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows)
    blocks = {}
    for index, (m, width) in enumerate(WIDTHS.items()):
        mixing = np.random.default_rng(100 + index).standard_normal((width, width)) * np.geomspace(1.5, 0.3, width)[:, None]
        blocks[m] = (rng.standard_normal((rows, width)) @ mixing / np.linalg.norm(mixing, axis=0)).astype(np.float32)
    blocks[Modality.TEXT][:, :6] += 0.3 * (2 * labels[:, None] - 1)
    return Rows(blocks, (2.0 * labels - 1.0).astype(np.float32), np.array([f"v{i % 30}" for i in range(rows)]))


def marked(plant: KnownPlant, p: float, rows: Rows, seed: int = 3) -> tuple[Rows, Floats]:
    """Rows with an artefact that agrees with the label with probability p, and the (n,) sign of the artefact in each."""
    blocks, marks = plant.marked(rows.blocks, rows.labels, np.random.default_rng(seed), p)
    return replace(rows, blocks=blocks), marks
