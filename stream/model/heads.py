"""The head: a read-out to score, polarity and spread, with the gradient of the score in closed form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stream.domain.inference import SCORE_LIMIT

CLASSES = 7
"""Classes of a score rounded to the nearest of -3 ... 3."""

LEAST_SPREAD = 0.05
"""Least spread of a score, in score points: likelihoods grow without bound as the spread goes to 0."""

LEAST_CHANCE = 1e-6
"""Least probability of a class: the loss takes its logarithm, and the distribution can underflow to 0."""


class Answer(NamedTuple):
    """Score, polarity and spread of each window.

    Attributes:
        score: (...,) in [-3, 3].
        logits: (..., 3) for negative, neutral, positive.
        spread: (...,) scale > 0 of the logistic distribution around the score.
    """

    score: Tensor
    logits: Tensor
    spread: Tensor


class Head(nn.Module):
    """The head f(g): two layers to a signed strength u, a neutrality v and a spread b.

    score = 3 tanh(u), logits = [-a u, v, a u] with a learned a > 0. The sign of the score and the order of positive and
    negative come from the same number u, so they cannot contradict each other.
    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, 3)
        self.dropout = nn.Dropout(dropout)
        self.sharpness = nn.Parameter(torch.tensor(1.0))

    def forward(self, readout: Tensor) -> Answer:
        """(..., G) read-outs to answers of shape (...,)."""
        return self.answer(self.inner(readout))

    def answer(self, before_relu: Tensor) -> Answer:
        """(..., hidden) values of the first layer, before its ReLU, to answers of shape (...,)."""
        strength, neutrality, spread = self.outer(self.dropout(F.relu(before_relu))).unbind(-1)
        signed = F.softplus(self.sharpness) * strength
        logits = torch.stack([-signed, neutrality, signed], dim=-1)
        return Answer(SCORE_LIMIT * torch.tanh(strength), logits, LEAST_SPREAD + F.softplus(spread))

    def score_and_slope(self, before_relu: Tensor) -> tuple[Tensor, Tensor]:
        """(..., hidden) values x of the first layer to (...,) scores and their (..., hidden) derivatives with respect to it.

        d score / d x = 3 (1 - tanh(u)^2) (w_u * [x > 0]). The served graph needs it for relevance. It is in closed form because an ONNX
        graph has no automatic differentiation.
        """
        weight = self.outer.weight[0]
        bent = torch.tanh(F.relu(before_relu) @ weight + self.outer.bias[0])
        slope = (SCORE_LIMIT * (1.0 - bent**2)).unsqueeze(-1)
        return SCORE_LIMIT * bent, torch.where(before_relu > 0, slope * weight, 0.0)


def capped(score: Tensor, cap: Tensor) -> Tensor:
    """(...) scores within (...) caps c, c tanh(s / c): order and sign stay, and small scores nearly so. `SCORE_LIMIT` is no cap."""
    return torch.where(cap < SCORE_LIMIT, cap * torch.tanh(score / cap), score)


def cap_slope(score: Tensor, cap: Tensor) -> Tensor:
    """(...) derivative of `capped` with respect to the score."""
    return torch.where(cap < SCORE_LIMIT, 1.0 - torch.tanh(score / cap) ** 2, torch.ones_like(score))


def class_probabilities(answer: Answer) -> Tensor:
    """Probabilities of the seven rounded scores: an ordinal model with a logistic distribution F around the score (McCullagh, 1980).

    P(k) = F((k + 1/2 - score) / b) - F((k - 1/2 - score) / b); the outermost classes have no outer edge.
    From answers
    of shape (...,) to (..., 7), at least `LEAST_CHANCE`.
    """
    edges = torch.arange(CLASSES - 1, device=answer.score.device, dtype=answer.score.dtype) - (CLASSES - 2) / 2
    below = torch.sigmoid((edges - answer.score.unsqueeze(-1)) / answer.spread.unsqueeze(-1))
    zero, one = torch.zeros_like(below[..., :1]), torch.ones_like(below[..., :1])
    return torch.diff(torch.cat([zero, below, one], dim=-1), dim=-1).clamp_min(LEAST_CHANCE)


def uniform_divergence(logits: Tensor) -> Tensor:
    """KL(U || softmax(logits)) of (..., C) logits, mean over all leading axes: 0 where every class is equally probable."""
    log_probabilities = torch.log_softmax(logits, dim=-1)
    return -(log_probabilities.mean(dim=-1) + torch.log(torch.tensor(float(logits.shape[-1])))).mean()


def class_of(score: Tensor) -> Tensor:
    """(B,) scores to (B,) classes 0 ... 6."""
    return score.round().clamp(-3, 3).long() + 3
