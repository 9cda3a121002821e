"""The uniform divergence that keeps a shortcut answer uninformative."""

from __future__ import annotations

import torch
from torch import Tensor


def uniform_divergence(logits: Tensor) -> Tensor:
    """KL(U || softmax(logits)), mean over all leading axes: 0 when the answer is uniform."""
    classes = logits.shape[-1]
    log_probabilities = torch.log_softmax(logits, dim=-1)
    return -(log_probabilities.mean(dim=-1) + torch.log(torch.tensor(float(classes)))).mean()
