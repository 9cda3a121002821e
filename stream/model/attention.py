"""Attention, equation (2): every node and every edge is split into a causal and a shortcut part.

Both splits are softmaxes over two logits, so the two parts add up to 1. A softmax over two logits is the sigmoid of their
difference. Only the difference is computed: one number per edge instead of two.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NodeAttention(nn.Module):
    """[b^c_i, b^s_i] = softmax(W^n h_i)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.difference = nn.Linear(hidden, 1)

    def forward(self, nodes: Tensor) -> Tensor:
        """(B, N, H) node states to (B, N) causal shares b^c; the shortcut share is 1 - b^c."""
        return torch.sigmoid(self.difference(nodes).squeeze(-1))


class EdgeAttention(nn.Module):
    """[a^c_ij,r, a^s_ij,r] = softmax(W^e_r [h_i || h_j]) of one relation r.

    W^e_r is applied to each half of the concatenation separately, W [h_i || h_j] = W_target h_i + W_source h_j, so that the
    (B, I, J, 2H) concatenation is never built.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.target = nn.Linear(hidden, 1)
        self.source = nn.Linear(hidden, 1, bias=False)

    def forward(self, targets: Tensor, sources: Tensor) -> Tensor:
        """(B, I, H) receiving and (B, J, H) sending nodes to (B, I, J) causal shares a^c; the shortcut share is 1 - a^c."""
        return torch.sigmoid(self.target(targets) + self.source(sources).transpose(1, 2))
