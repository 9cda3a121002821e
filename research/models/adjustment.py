"""The backdoor adjustment of the tables' models: `stream.model.backdoor` with classes, uncertainty and learned weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from research.models.interface import LOGISTIC_SD, Prediction
from stream.model.backdoor import ShortcutBank, averaged
from stream.model.heads import Answer, Head, class_probabilities


def averaged_prediction(answer: Answer, frequencies: Tensor, **readouts: Tensor) -> Prediction:
    """Average the predictions over the strata, weighted with P(k): score, classes, polarity, and the standard deviation of the mixture.

    Args:
        answer: Answers under each stratum, of shape (B, K).
        frequencies: (K,) P(k).
        readouts: (B, G) states by name, for probes.
    """
    score, probabilities = averaged(answer, frequencies, answer.score.new_ones(()))
    classes = (class_probabilities(answer) * frequencies.unsqueeze(-1)).sum(dim=-2)
    square = (((LOGISTIC_SD * answer.spread) ** 2 + answer.score**2) * frequencies).sum(dim=-1)
    uncertainty = (square - score**2).clamp_min(1e-6).sqrt()
    return Prediction(score, classes.log(), probabilities.clamp_min(1e-6).log(), uncertainty, readouts)


class DynamicBank(ShortcutBank):
    """Strata with learned weights that depend on the causal read-out.

    w_k(g^c) = 2 sigmoid((Q g^c) . (P s_k) / sqrt(d)); the input of f_cs is g^c + w_k(g^c) s_k. This is how we read MMCI's
    "dynamically combine". With all weights at 1 it is the plain bank.
    """

    def __init__(self, strata: int, width: int, match: int = 16) -> None:
        super().__init__(strata, width)
        self.query = nn.Linear(width, match, bias=False)
        self.key = nn.Linear(width, match, bias=False)

    def weights(self, causal: Tensor) -> Tensor:
        """(..., G) causal read-outs to (..., K) weights of the strata, each in (0, 2)."""
        keys: Tensor = self.key(self.prototypes)
        return 2.0 * torch.sigmoid(self.query(causal) @ keys.T / keys.shape[-1] ** 0.5)

    def recombine(self, head: Head, causal: Tensor) -> Tensor:
        """Compute the head's first layer, W (g^c + w_k(g^c) s_k) + b: (..., K, hidden)."""
        from_strata = self.prototypes @ head.inner.weight.T
        from_causal: Tensor = head.inner(causal)
        return from_causal.unsqueeze(-2) + self.weights(causal).unsqueeze(-1) * from_strata


def stratum_means(points: Tensor, strata: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Means of given strata: (n, G) points and their (n,) strata to (K, G) means and the (K,) share of the points in each.

    Strata without a point have a mean of 0 and a share of 0.

    Raises:
        ValueError: If a stratum is not below `count`.
    """
    if int(strata.max()) >= count:
        raise ValueError(f"a bank of {count} strata has no stratum {int(strata.max())}")
    sizes = torch.bincount(strata, minlength=count).to(points.dtype)
    sums = points.new_zeros(count, points.shape[1]).index_add_(0, strata, points)
    return sums / sizes.clamp_min(1.0).unsqueeze(1), sizes / sizes.sum()
