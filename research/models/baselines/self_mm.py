"""Self-MM: Yu et al., AAAI 2021, "Learning Modality-Specific Representations with Self-Supervised Multi-Task Learning".

Each modality predicts a score of its own beside the multimodal one. Its labels are generated (the paper's unimodal label
generation module): if the representation of a modality is nearer to the positive or negative centre than the fused one, its label
is moved away from the multimodal label, smoothed over epochs.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from research.models.baselines.late_fusion import UtteranceEncoder
from research.models.interface import ModelInput, Prediction, SentimentModel, Targets, predicted, task_loss
from stream.domain.inference import SCORE_LIMIT
from stream.domain.modality import Modality
from stream.model.heads import Head

LEAST = 1e-6


class SelfMM(SentimentModel):
    """Fused and unimodal heads; `labels` holds the generated label of each training window and modality.

    Attributes:
        labels: (M, n) y_s, NaN until they are first generated.
        epoch: Number of times that labels were generated.
    """

    labels: Tensor

    def __init__(self, widths: dict[Modality, int], hidden: int, dropout: float, windows: int) -> None:
        super().__init__()
        self.encode = nn.ModuleDict({m: UtteranceEncoder(width, hidden, dropout) for m, width in widths.items()})
        self.fuse = nn.Sequential(nn.Dropout(dropout), nn.Linear(len(widths) * hidden, hidden), nn.ReLU())
        self.head = Head(hidden, hidden, dropout)
        self.single = nn.ModuleDict({m: nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)) for m in widths})
        self.register_buffer("labels", torch.full((len(widths), windows), torch.nan))
        self.epoch = 0

    def forward(self, inputs: ModelInput) -> Prediction:
        """The multimodal answer."""
        return predicted(self.head, self._states(inputs)[0])

    def loss(self, inputs: ModelInput, targets: Targets, generator: torch.Generator) -> Tensor:
        """L = L_task + mean_s |w_s (y^_s - y_s)|, w_s = tanh |y_s - y_m|; y_s = y_m and w_s = 1 in the first epoch."""
        del generator
        fused, states = self._states(inputs)
        loss = task_loss(predicted(self.head, fused), targets)
        for index, (modality, head) in enumerate(self.single.items()):
            made = self.labels[index, targets.rows]
            known = ~made.isnan()
            wanted = torch.where(known, made, targets.score)
            weight = torch.where(known, torch.tanh((made - targets.score).abs()), torch.ones_like(made))
            loss = loss + (weight * (head(states[modality]).squeeze(-1) - wanted).abs()).nan_to_num().mean()
        return loss

    def after_epoch(self, training: Iterable[tuple[ModelInput, Targets]], generator: torch.Generator) -> None:
        """Generate the unimodal labels: y_s^(i) = (i - 1)/(i + 1) y_s^(i-1) + 2/(i + 1) y_s^i, i = 2, 3 ..."""
        del generator
        fused, states, scores, rows = self._collect(training)
        self.epoch += 1
        own = relative_distance(fused, scores)
        momentum = self.epoch / (self.epoch + 2.0)
        for index, modality in enumerate(self.single):
            made = generated_label(scores, relative_distance(states[modality], scores), own)
            before = self.labels[index, rows]
            before = torch.where(before.isnan(), scores, before)
            self.labels[index, rows] = momentum * before + (1.0 - momentum) * made

    def _states(self, inputs: ModelInput) -> tuple[Tensor, dict[str, Tensor]]:
        states = {m: encode(inputs.window[Modality(m)]) for m, encode in self.encode.items()}
        return self.fuse(torch.cat(list(states.values()), dim=1)), states

    def _collect(self, training: Iterable[tuple[ModelInput, Targets]]) -> tuple[Tensor, dict[str, Tensor], Tensor, Tensor]:
        fused, states, scores, rows = [], [], [], []
        for inputs, targets in training:
            whole, own = self._states(inputs)
            fused.append(whole)
            states.append(own)
            scores.append(targets.score)
            rows.append(targets.rows)
        joined = {m: torch.cat([own[m] for own in states]) for m in self.encode}
        return torch.cat(fused), joined, torch.cat(scores), torch.cat(rows)


def relative_distance(states: Tensor, scores: Tensor) -> Tensor:
    """Alpha = (D^n - D^p) / (D^p + e): (n, H) states and (n,) scores to (n,); D^n, D^p are distances to the class centres over sqrt(H)."""
    width = states.shape[1] ** 0.5
    positive, negative = (states[chosen].mean(dim=0).nan_to_num() for chosen in (scores > 0, scores < 0))
    to_positive, to_negative = ((states - centre).norm(dim=1) / width for centre in (positive, negative))
    distance: Tensor = (to_negative - to_positive) / (to_positive + LEAST)
    return distance


def generated_label(scores: Tensor, own: Tensor, fused: Tensor) -> Tensor:
    """y_s = y_m + (alpha_s - alpha_m)/2 (y_m + alpha_m)/alpha_m, kept in [-3, 3]."""
    safe = torch.where(fused.abs() < LEAST, torch.full_like(fused, LEAST), fused)
    return (scores + (own - safe) / 2.0 * (scores + safe) / safe).clamp(-SCORE_LIMIT, SCORE_LIMIT)
