"""Plain fusion by concatenation. Trained as it is, it is the row of empirical risk minimisation (ERM).

    (1) h_m = ReLU(W_m x_m + b_m),   g = ReLU(W [h_T || h_A || h_V] + b),   answer = f(g)

An absent modality has h_m = 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from research.models.baselines.late_fusion import UtteranceEncoder
from research.models.interface import ModelInput, Prediction, SentimentModel, predicted
from stream.domain.modality import Modality
from stream.model.heads import Head
from stream.model.nodes import Window


class Fusion(SentimentModel):
    """Equation (1)."""

    def __init__(self, widths: dict[Modality, int], hidden: int, dropout: float) -> None:
        super().__init__()
        self.encode = nn.ModuleDict({m: UtteranceEncoder(width, hidden, dropout) for m, width in widths.items()})
        self.mix = nn.Sequential(nn.Dropout(dropout), nn.Linear(len(widths) * hidden, hidden), nn.ReLU())
        self.head = Head(hidden, hidden, dropout)

    def fused(self, window: Window) -> Tensor:
        """(B, H) g of equation (1)."""
        states: Tensor = self.mix(torch.cat([encode(window[Modality(m)]) for m, encode in self.encode.items()], dim=1))
        return states

    def forward(self, inputs: ModelInput) -> Prediction:
        """f(g)."""
        return predicted(self.head, self.fused(inputs.window))
