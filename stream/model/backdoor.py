"""The backdoor adjustment: the prediction averaged over shortcut strata.

P(Y | do(C)) = sum_k P(s_k) P(Y | C, s_k), Pearl's adjustment with the shortcut features as confounder. The strata are K
prototypes of the shortcut read-outs of the training windows, made by `stratum_means` where each window's stratum is known and
else by `k_means`; P(s_k) is how often training windows fall to stratum k.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from stream.model.heads import LOGISTIC_SD, Answer, Head, class_probabilities
from stream.model.interface import Prediction


class Adjusted(NamedTuple):
    """Adjusted prediction of each row.

    Attributes:
        score: (...,) mean score over the strata.
        probabilities: (..., 3) mean probabilities over the strata.
        classes: (..., 7) likewise, of the rounded scores.
        uncertainty: (...,) standard deviation of the mixture of the strata's scores.
    """

    score: Tensor
    probabilities: Tensor
    classes: Tensor
    uncertainty: Tensor

    def prediction(self, **readouts: Tensor) -> Prediction:
        """The same as a prediction that carries the named read-outs along."""
        return Prediction(self.score, self.classes.log(), self.probabilities.clamp_min(1e-6).log(), self.uncertainty, readouts)


def averaged(answer: Answer, frequencies: Tensor, heat: Tensor) -> Adjusted:
    """sum_k P(k) of what is said under each stratum: predictions, not logits.

    Args:
        answer: Of shape (..., K).
        frequencies: (K,) P(k).
        heat: Divides the logits; broadcast to (..., K, 3).
    """
    score = (answer.score * frequencies).sum(dim=-1)
    probabilities = (torch.softmax(answer.logits / heat, dim=-1) * frequencies.unsqueeze(-1)).sum(dim=-2)
    classes = (class_probabilities(answer) * frequencies.unsqueeze(-1)).sum(dim=-2)
    square = (((LOGISTIC_SD * answer.spread) ** 2 + answer.score**2) * frequencies).sum(dim=-1)
    return Adjusted(score, probabilities, classes, (square - score**2).clamp_min(1e-6).sqrt())


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
        """First layer of the head for every pair of window and stratum: W (g^c + s_k) + b.

        Args:
            head: f_cs.
            causal: (..., G) causal read-outs g^c.

        Returns:
            (..., K, hidden).
        """
        from_causal = causal @ head.inner.weight.T
        from_strata: Tensor = head.inner(self.prototypes)
        return from_causal.unsqueeze(-2) + from_strata

    def adjust(self, head: Head, causal: Tensor, temperature: Tensor) -> Adjusted:
        """Average predictions (not logits) over the strata.

        Args:
            head: f_cs.
            causal: (..., G).
            temperature: Divides the logits; broadcast to (...,).
        """
        answer: Answer = head.answer(self.recombine(head, causal))
        return averaged(answer, self.frequencies, temperature.unsqueeze(-1).unsqueeze(-1))

    def score_gradient(self, head: Head, causal: Tensor) -> Tensor:
        """(..., G) derivative of the adjusted score with respect to g^c: the mean of the strata's derivatives."""
        return (head.score_gradient(self.recombine(head, causal)) * self.frequencies.unsqueeze(-1)).sum(dim=-2)


class DynamicBank(ShortcutBank):
    """Strata that are combined with the causal read-out by learned weights which depend on it.

    w_k(g^c) = 2 sigmoid((Q g^c) . (P s_k) / sqrt(d)), and f_cs sees g^c + w_k(g^c) s_k: MMCI's "dynamically combine", as we
    read it. A weight of 1 for all strata is the plain bank.
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
        """First layer of the head, W (g^c + w_k(g^c) s_k) + b: (..., K, hidden)."""
        from_strata = self.prototypes @ head.inner.weight.T
        from_causal: Tensor = head.inner(causal)
        return from_causal.unsqueeze(-2) + self.weights(causal).unsqueeze(-1) * from_strata

    def score_gradient(self, head: Head, causal: Tensor) -> Tensor:
        """(..., G) derivative of the adjusted score, also through the weights."""
        inner = head.inner_gradient(self.recombine(head, causal)) * self.frequencies.unsqueeze(-1)
        keys: Tensor = self.key(self.prototypes)
        weights = self.weights(causal)
        slope = weights * (1.0 - weights / 2.0) / keys.shape[-1] ** 0.5
        by_weight = (inner * (self.prototypes @ head.inner.weight.T)).sum(dim=-1)
        gradient: Tensor = inner.sum(dim=-2) @ head.inner.weight + (by_weight * slope) @ keys @ self.query.weight
        return gradient


def k_means(points: Tensor, clusters: int, generator: torch.Generator, rounds: int = 20) -> tuple[Tensor, Tensor]:
    """Lloyd's algorithm: (n, G) points to (K, G) centres and (K,) shares of the points."""
    start = torch.randperm(points.shape[0], generator=generator)
    centres = points[start[torch.arange(clusters) % points.shape[0]]].clone()
    for _ in range(rounds):
        owners = torch.cdist(points, centres).argmin(dim=1)
        for cluster in range(clusters):
            if bool((owners == cluster).any()):
                centres[cluster] = points[owners == cluster].mean(dim=0)
    counts = torch.bincount(torch.cdist(points, centres).argmin(dim=1), minlength=clusters).float()
    return centres, counts / counts.sum()


def stratum_means(points: Tensor, strata: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Strata that are known from outside: (n, G) points and their (n,) strata to (K, G) means and (K,) shares of the points.

    Strata without a point have a mean of 0 and a share of 0.

    Raises:
        ValueError: If a stratum is not one of the ``count``.
    """
    if int(strata.max()) >= count:
        raise ValueError(f"a bank of {count} strata has no stratum {int(strata.max())}")
    sizes = torch.bincount(strata, minlength=count).to(points.dtype)
    sums = points.new_zeros(count, points.shape[1]).index_add_(0, strata, points)
    return sums / sizes.clamp_min(1.0).unsqueeze(1), sizes / sizes.sum()
