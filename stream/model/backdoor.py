"""Backdoor adjustment: the prediction averaged over strata of the shortcut.

P(Y | do(C)) = sum_k P(s_k) P(Y | C, s_k): Pearl's adjustment (Causality, 2009, section 3.3) with the shortcut features as the
confounder. The strata are K prototypes: the k-means centres of the shortcut read-outs of training windows. P(s_k) is the share
of training windows in stratum k.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from stream.model.heads import Answer, Head


class Adjusted(NamedTuple):
    """Adjusted prediction of each window.

    Attributes:
        score: (...,) mean score over the strata.
        probabilities: (..., 3) mean probabilities over the strata.
    """

    score: Tensor
    probabilities: Tensor


def averaged(answer: Answer, frequencies: Tensor, temperature: Tensor) -> Adjusted:
    """Average answers of shape (..., K) over the strata, weighted with the (K,) P(k).

    Probabilities are averaged, not logits, because the adjustment is a sum of probabilities. `temperature` divides the logits
    and is broadcast to (..., K, 3).
    """
    score = (answer.score * frequencies).sum(dim=-1)
    probabilities = (torch.softmax(answer.logits / temperature, dim=-1) * frequencies.unsqueeze(-1)).sum(dim=-2)
    return Adjusted(score, probabilities)


class ShortcutBank(nn.Module):
    """K shortcut prototypes s_k and their frequencies P(s_k)."""

    prototypes: Tensor
    frequencies: Tensor

    def __init__(self, strata: int, width: int) -> None:
        super().__init__()
        self.register_buffer("prototypes", torch.zeros(strata, width))
        self.register_buffer("frequencies", torch.full((strata,), 1.0 / strata))

    def set(self, prototypes: Tensor, frequencies: Tensor) -> None:
        """Replace the strata: (K, G) prototypes and (K,) frequencies that sum to 1."""
        self.prototypes.copy_(prototypes)
        self.frequencies.copy_(frequencies)

    def recombine(self, head: Head, causal: Tensor) -> Tensor:
        """Compute the head's first layer, W (g^c + s_k) + b, for every pair of window and stratum.

        The layer is linear: W g^c and W s_k + b are each computed once and then added, instead of once for every pair. From
        (..., G) causal read-outs g^c and the head f_cs to (..., K, hidden) values before the ReLU.
        """
        return self.over_strata(head, causal @ head.inner.weight.T)

    def over_strata(self, head: Head, first_layer: Tensor) -> Tensor:
        """(..., hidden) W g^c to (..., K, hidden) values before the ReLU, as in `recombine`."""
        from_strata: Tensor = head.inner(self.prototypes)
        return first_layer.unsqueeze(-2) + from_strata

    def adjust(self, head: Head, causal: Tensor, temperature: Tensor) -> Adjusted:
        """Average the predictions from (..., G) causal read-outs over the strata; `temperature` is broadcast to (...,)."""
        return self.average(head, self.recombine(head, causal), temperature)

    def average(self, head: Head, before_relu: Tensor, temperature: Tensor) -> Adjusted:
        """The same from the (..., K, hidden) values of `over_strata`."""
        answer: Answer = head.answer(before_relu)
        return averaged(answer, self.frequencies, temperature.unsqueeze(-1).unsqueeze(-1))

    def score_and_slope(self, head: Head, before_relu: Tensor) -> tuple[Tensor, Tensor]:
        """(...,) adjusted scores from the (..., K, hidden) values of `over_strata`, and their (..., hidden) derivatives by W g^c."""
        score, slope = head.score_and_slope(before_relu)
        return (score * self.frequencies).sum(dim=-1), (slope * self.frequencies.unsqueeze(-1)).sum(dim=-2)


def k_means(points: Tensor, clusters: int, generator: torch.Generator, rounds: int = 20) -> tuple[Tensor, Tensor]:
    """Cluster (n, G) points with Lloyd's algorithm; returns (K, G) centres and the (K,) share of the points of each.

    A cluster that loses all its points keeps its centre and gets the share 0. With fewer points than clusters, several clusters
    start at the same point.
    """
    start = torch.randperm(points.shape[0], generator=generator)
    centres = points[start[torch.arange(clusters) % points.shape[0]]].clone()
    for _ in range(rounds):
        owners = torch.cdist(points, centres).argmin(dim=1)
        for cluster in range(clusters):
            if bool((owners == cluster).any()):
                centres[cluster] = points[owners == cluster].mean(dim=0)
    counts = torch.bincount(torch.cdist(points, centres).argmin(dim=1), minlength=clusters).float()
    return centres, counts / counts.sum()
