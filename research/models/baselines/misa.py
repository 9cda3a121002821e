"""MISA: Hazarika et al., ACM MM 2020, "MISA: Modality-Invariant and -Specific Representations".

L = L_task + alpha L_sim + beta L_diff + gamma L_recon,   alpha = 1, beta = 0.3, gamma = 1
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from research.models.baselines.late_fusion import UtteranceEncoder
from research.models.interface import ModelInput, Prediction, SentimentModel, Targets, predicted, task_loss
from stream.domain.modality import Modality
from stream.model.heads import Head

SIMILARITY, DIFFERENCE, RECONSTRUCTION = 1.0, 0.3, 1.0
MOMENTS = 5
"""Orders of the central moment discrepancy."""


class MISA(SentimentModel):
    """u_m; h_m^c = E_c(u_m) with a shared encoder; h_m^p = E_p^m(u_m); a transformer layer over the six vectors; head."""

    def __init__(self, widths: dict[Modality, int], hidden: int, dropout: float, heads: int = 2) -> None:
        super().__init__()
        self.encode = nn.ModuleDict({m: UtteranceEncoder(width, hidden, dropout) for m, width in widths.items()})
        self.shared = nn.Sequential(nn.Linear(hidden, hidden), nn.Sigmoid())
        self.private = nn.ModuleDict({m: nn.Sequential(nn.Linear(hidden, hidden), nn.Sigmoid()) for m in widths})
        self.decode = nn.ModuleDict({m: nn.Linear(hidden, hidden) for m in widths})
        self.mix = nn.TransformerEncoderLayer(hidden, heads, 2 * hidden, dropout, batch_first=True)
        self.head = Head(2 * len(widths) * hidden, hidden, dropout)

    def forward(self, inputs: ModelInput) -> Prediction:
        """Answer from the shared and private vectors."""
        return self._predict(*self._vectors(inputs)[1:])

    def loss(self, inputs: ModelInput, targets: Targets, generator: torch.Generator) -> Tensor:
        """L_task and the three losses on the vectors."""
        del generator
        states, shared, private = self._vectors(inputs)
        pairs = list(itertools.combinations(shared, 2))
        similarity = _mean([moment_discrepancy(shared[a], shared[b]) for a, b in pairs])
        different = [orthogonality(shared[m], private[m]) for m in shared] + [orthogonality(private[a], private[b]) for a, b in pairs]
        rebuilt = _mean([functional.mse_loss(self.decode[m](shared[m] + private[m]), states[m]) for m in shared])
        task = task_loss(self._predict(shared, private), targets)
        return task + SIMILARITY * similarity + DIFFERENCE * torch.stack(different).sum() + RECONSTRUCTION * rebuilt

    def _vectors(self, inputs: ModelInput) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """(B, H) u, h^c and h^p of every modality."""
        states = {m: encode(inputs.window[Modality(m)]) for m, encode in self.encode.items()}
        return states, {m: self.shared(u) for m, u in states.items()}, {m: self.private[m](u) for m, u in states.items()}

    def _predict(self, shared: dict[str, Tensor], private: dict[str, Tensor]) -> Prediction:
        mixed: Tensor = self.mix(torch.stack([*private.values(), *shared.values()], dim=1))
        return predicted(self.head, mixed.flatten(1))


def moment_discrepancy(one: Tensor, other: Tensor) -> Tensor:
    """Central moment discrepancy of (B, H) values in [0, 1]: |E x - E y| + sum_k |C_k(x) - C_k(y)|, k = 2 ... `MOMENTS`."""
    means = one.mean(dim=0), other.mean(dim=0)
    gaps = [means[0] - means[1]]
    for order in range(2, MOMENTS + 1):
        gaps.append(((one - means[0]) ** order).mean(dim=0) - ((other - means[1]) ** order).mean(dim=0))
    return torch.stack([(gap.square().sum() + 1e-12).sqrt() for gap in gaps]).sum()


def orthogonality(one: Tensor, other: Tensor) -> Tensor:
    """|X^T Y|_F^2 / H^2 of (B, H) rows, centred over the batch and of unit length."""
    first, second = (functional.normalize(x - x.mean(dim=0), dim=1) for x in (one, other))
    return (first.T @ second).square().mean()


def _mean(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).mean() if parts else torch.zeros(())
