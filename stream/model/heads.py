"""Read-out to score and polarity, and the score's gradient in closed form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stream.domain.inference import SCORE_LIMIT


class Answer(NamedTuple):
    """Score and polarity of each row.

    Attributes:
        score: (...,) in [-3, 3].
        logits: (..., 3) of negative, neutral, positive.
    """

    score: Tensor
    logits: Tensor


class Head(nn.Module):
    """f(g): two layers to a signed strength u and a neutrality v.

    score = 3 tanh(u), logits = [-a u, v, a u] with a learned a > 0. The score's sign and the order of positive and negative
    come from the same number, so they cannot contradict each other.
    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, 2)
        self.dropout = nn.Dropout(dropout)
        self.sharpness = nn.Parameter(torch.tensor(1.0))

    def forward(self, readout: Tensor) -> Answer:
        """(..., G) read-outs to answers of shape (...,)."""
        return self.answer(self.inner(readout))

    def answer(self, before_relu: Tensor) -> Answer:
        """(..., hidden) values of the first layer to answers."""
        strength, neutrality = self.outer(self.dropout(F.relu(before_relu))).unbind(-1)
        signed = F.softplus(self.sharpness) * strength
        return Answer(SCORE_LIMIT * torch.tanh(strength), torch.stack([-signed, neutrality, signed], dim=-1))

    def score_gradient(self, before_relu: Tensor) -> Tensor:
        """Derivative of the score with respect to the read-out.

        d score / d g = 3 (1 - tanh(u)^2) W_inner^T (w_u * [W_inner g + b > 0]).

        Args:
            before_relu: (..., hidden) = W_inner g + b.

        Returns:
            (..., G).
        """
        active = (before_relu > 0).to(before_relu.dtype)
        strength = self.outer(F.relu(before_relu))[..., :1]
        slope = SCORE_LIMIT * (1.0 - torch.tanh(strength) ** 2)
        return (slope * active * self.outer.weight[0]) @ self.inner.weight
