"""Text alone, and late fusion: one small network for each modality, whose answers are averaged with learned weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from research.models.interface import ModelInput, Prediction, SentimentModel, predicted, prediction_of, present, utterance
from stream.domain.modality import Modality
from stream.model.heads import LEAST_SPREAD, Answer, Head
from stream.model.nodes import Nodes


class UtteranceEncoder(nn.Module):
    """h = ReLU(W mean(x) + b), with dropout on x; 0 where the modality is absent."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, hidden), nn.ReLU())

    def forward(self, nodes: Nodes) -> Tensor:
        """Nodes to (B, H)."""
        encoded: Tensor = self.layers(utterance(nodes)) * present(nodes)
        return encoded


class TextOnly(SentimentModel):
    """The text branch alone, the reference for the value of other modalities."""

    def __init__(self, widths: dict[Modality, int], hidden: int, dropout: float) -> None:
        super().__init__()
        self.encode = UtteranceEncoder(widths[Modality.TEXT], hidden, dropout)
        self.head = Head(hidden, hidden, dropout)

    def forward(self, inputs: ModelInput) -> Prediction:
        """Answer from the text nodes alone."""
        return predicted(self.head, self.encode(inputs.window[Modality.TEXT]))


class LateFusion(SentimentModel):
    """Decision-level fusion: answer = sum_m w_m f_m(h_m), w = softmax of learned numbers over the present modalities.

    Scores, logits and spreads are averaged; f_m is the head of modality m.
    """

    def __init__(self, widths: dict[Modality, int], hidden: int, dropout: float) -> None:
        super().__init__()
        self.encode = nn.ModuleDict({m: UtteranceEncoder(width, hidden, dropout) for m, width in widths.items()})
        self.heads = nn.ModuleDict({m: Head(hidden, hidden, dropout) for m in widths})
        self.importance = nn.Parameter(torch.zeros(len(widths)))

    def forward(self, inputs: ModelInput) -> Prediction:
        """Average the answers of the modalities."""
        states = {m: self.encode[m](inputs.window[Modality(m)]) for m in self.encode}
        answers = [self.heads[m](states[m]) for m in self.encode]
        there = torch.cat([present(inputs.window[Modality(m)]) for m in self.encode], dim=1)
        weights = there * self.importance.exp()
        weights = weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-6)
        score, logits, spread = (torch.stack(part, dim=1) for part in zip(*answers, strict=True))
        mean = Answer((weights * score).sum(1), (weights.unsqueeze(-1) * logits).sum(1), (weights * spread).sum(1) + LEAST_SPREAD)
        return prediction_of(mean, {"fused": torch.cat(list(states.values()), dim=1)})
