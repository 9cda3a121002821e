"""Judged windows of a trial: with a word that must not be used, and the same windows without it, encoded again.

Beside the product's penalty on explanations (`stream.training.reasons`), `pair_penalty` draws the score of a window to that of the same
window without what is masked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stream.domain.modality import Modality
from stream.model.mmci import MMCI
from stream.training.reasons import Judged, adjusted_scores


@dataclass(frozen=True, slots=True)
class Pairs:
    """Judged windows with the word, and the same without it; those have no masks."""

    marked: Judged
    without: Judged

    def drawn(self, rng: np.random.Generator, size: int) -> Pairs:
        """Some of them."""
        chosen = torch.from_numpy(rng.permutation(self.marked.size)[:size])
        return Pairs(self.marked.rows(chosen), self.without.rows(chosen))


def pair_penalty(model: MMCI, pairs: Pairs) -> Tensor:
    """Mean square of what the masked word changes, in score points. The score without it stands for the truth: it gets no gradient."""
    marked, without = pairs.marked, pairs.without
    with torch.no_grad():
        wanted = adjusted_scores(model, without.window, without.past, Modality.TEXT)
    return (adjusted_scores(model, marked.window, marked.past, Modality.TEXT) - wanted).square().mean()
