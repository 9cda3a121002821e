"""Utterances of a trial: features, scores and videos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.training.eraser.blocks import Blocks, Labels


@dataclass(frozen=True, slots=True)
class Rows:
    """n utterances.

    Attributes:
        blocks: Features by modality.
        scores: (n,) annotated scores in [-3, 3].
        videos: (n,) name of the video of each.
    """

    blocks: Blocks
    scores: Floats
    videos: npt.NDArray[np.str_]

    @property
    def labels(self) -> Labels:
        """(n,) 1 where the score is not negative, else 0."""
        return (self.scores >= 0).astype(np.int64)

    def take(self, chosen: npt.NDArray[np.int64]) -> Rows:
        """The utterances at some indices, in their order."""
        return Rows({m: block[chosen] for m, block in self.blocks.items()}, self.scores[chosen], self.videos[chosen])
