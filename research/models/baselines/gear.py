"""GEAR-style: a branch for each modality learns easy windows, and windows that are hard for it get more weight (Teng-Sun/GEAR).

    (1) L_m = (1 - p_m(y)^q) / q,   q = 0.7                       generalised cross-entropy: easy windows get more weight
    (2) W   = l_b / (l_b + l_c),    l_b = mean_m CE(p_m, y),  l_c = CE(p, y)
    (3) L   = sum W L_task / sum W + sum_m mean L_m

p_m and p are probabilities of the polarity, from one modality and from the fused state. GEAR is a regression with
tanh(|e|^-q) |e| instead of (1). The form for classes is that of DisC, and needs no score.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from research.models.baselines.fusion import Fusion
from research.models.baselines.late_fusion import UtteranceEncoder
from research.models.interface import POLARITIES, ModelInput, Targets, present, task_loss
from stream.domain.modality import Modality

EASINESS = 0.7


class Reweighted(Fusion):
    """Equations (1) to (3) for the training of plain fusion, which alone gives the answer."""

    def __init__(self, widths: dict[Modality, int], hidden: int, dropout: float) -> None:
        super().__init__(widths, hidden, dropout)
        self.easy = nn.ModuleDict({m: UtteranceEncoder(width, hidden, dropout) for m, width in widths.items()})
        self.easy_heads = nn.ModuleDict({m: nn.Linear(hidden, POLARITIES) for m in widths})

    def loss(self, inputs: ModelInput, targets: Targets, generator: torch.Generator) -> Tensor:
        """Equation (3)."""
        del generator
        there = torch.cat([present(inputs.window[Modality(m)]) for m in self.easy], dim=1)
        easy = torch.stack([-self._log_chance(m, inputs, targets) for m in self.easy], dim=1)
        generalised = there * (1.0 - torch.exp(-EASINESS * easy)) / EASINESS
        prediction = self.predict(inputs)
        biased = (there * easy).sum(dim=1) / there.sum(dim=1).clamp_min(1.0)
        own = functional.cross_entropy(prediction.polarity, targets.polarity, reduction="none")
        importance = (biased / (biased + own + 1e-8)).detach()
        weight = importance if targets.weight is None else importance * targets.weight
        return task_loss(prediction, targets._replace(weight=weight)) + generalised.sum(dim=1).mean()

    def _log_chance(self, modality: str, inputs: ModelInput, targets: Targets) -> Tensor:
        """(B,) log p_m(y)."""
        logits = self.easy_heads[modality](self.easy[modality](inputs.window[Modality(modality)]))
        return torch.log_softmax(logits, dim=1).gather(1, targets.polarity.unsqueeze(1)).squeeze(1)
