"""Tensor fusion (TFN) and its low-rank form (LMF).

TFN: Zadeh et al., EMNLP 2017, "Tensor Fusion Network for Multimodal Sentiment Analysis", section 4.2 (tensor fusion layer).
LMF: Liu et al., ACL 2018, "Efficient Low-rank Multimodal Fusion with Modality-Specific Factors", section 3.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from research.models.baselines.late_fusion import UtteranceEncoder
from research.models.interface import ModelInput, Prediction, SentimentModel, predicted
from stream.domain.modality import Modality
from stream.model.heads import Head


def with_one(states: Tensor) -> Tensor:
    """(B, H) to (B, H + 1): [h; 1], so that the tensor contains the products of fewer modalities too."""
    return torch.cat([states, torch.ones_like(states[:, :1])], dim=1)


class TensorFusion(SentimentModel):
    """z = [h_t; 1] x [h_v; 1] x [h_a; 1], the outer product, the input of a two-layer network.

    `hidden` is the width of the factors; the head gets (hidden + 1)^3 numbers.
    """

    def __init__(self, widths: dict[Modality, int], hidden: int, dropout: float) -> None:
        super().__init__()
        self.encode = nn.ModuleDict({m: UtteranceEncoder(width, hidden, dropout) for m, width in widths.items()})
        self.dropout = nn.Dropout(dropout)
        self.head = Head((hidden + 1) ** len(widths), 4 * hidden, dropout)

    def forward(self, inputs: ModelInput) -> Prediction:
        """Apply the head to the (B, (H + 1)^3) outer product."""
        product = inputs.window[Modality.TEXT].mask.new_ones(inputs.window[Modality.TEXT].mask.shape[0], 1)
        for modality, encode in self.encode.items():
            factor = with_one(encode(inputs.window[Modality(modality)]))
            product = (product.unsqueeze(2) * factor.unsqueeze(1)).flatten(1)
        return predicted(self.head, self.dropout(product))


class LowRankFusion(SentimentModel):
    """h = sum_i u_i prod_m W_m^(i) [h_m; 1], the product elementwise: the tensor's weights as a weighted sum of `rank` outer products."""

    def __init__(self, widths: dict[Modality, int], hidden: int, dropout: float, rank: int = 4) -> None:
        super().__init__()
        self.encode = nn.ModuleDict({m: UtteranceEncoder(width, hidden, dropout) for m, width in widths.items()})
        self.factors = nn.ParameterDict({m: nn.Parameter(torch.empty(rank, hidden + 1, hidden)) for m in widths})
        for factor in self.factors.values():
            nn.init.xavier_normal_(factor)
        self.rank_weights = nn.Parameter(torch.full((rank,), 1.0 / rank))
        self.head = Head(hidden, hidden, dropout)

    def forward(self, inputs: ModelInput) -> Prediction:
        """Apply the head to the (B, H) product of the modalities, summed over ranks."""
        states = {m: with_one(encode(inputs.window[Modality(m)])) for m, encode in self.encode.items()}
        factors = [torch.einsum("bh,rho->bro", states[m], self.factors[m]) for m in states]
        return predicted(self.head, torch.einsum("r,bro->bo", self.rank_weights, torch.stack(factors).prod(dim=0)))
