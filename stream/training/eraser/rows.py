"""Utterances as blocks of features, one block a modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.modality import MODALITIES, Modality

Labels = npt.NDArray[np.int64]
Blocks = dict[Modality, Floats]
"""Modality to (n, d_m) float32 features, standardised on the training rows."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some utterances: features, (n,) scores in [-3, 3], (n,) video of each."""

    blocks: Blocks
    scores: Floats
    videos: npt.NDArray[np.str_]

    @property
    def labels(self) -> Labels:
        """(n,) 1 where the score is not negative, else 0."""
        return (self.scores >= 0).astype(np.int64)

    def take(self, chosen: npt.NDArray[np.int64]) -> Rows:
        """Those utterances, in that order."""
        return Rows({m: block[chosen] for m, block in self.blocks.items()}, self.scores[chosen], self.videos[chosen])


def joined(blocks: Mapping[Modality, Floats]) -> Floats:
    """(n, sum of d_m), modalities in their fixed order."""
    return np.concatenate([blocks[m] for m in MODALITIES if m in blocks], axis=1)
