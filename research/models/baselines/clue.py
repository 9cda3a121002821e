"""CLUE-style: the text's direct effect on the answer is learned beside the fused one and taken off (Teng-Sun/CLUE_model).

    (1) f = log sigma(o + o_T),   d = log sigma(c + o_T)           o: logits of the fused state, o_T: of the text alone, c: learned
    (2) L = L_task(f) + L_task(o_T) + KL(softmax f || softmax d)   f is held in the divergence, o_T in d
    (3) answer = f - alpha d,   alpha = 1                          total effect less the text's natural direct effect

The logits are the polarity's; the score is 3 tanh of the gap between the positive and the negative one (log sigma(x) - log sigma(-x)
= x, so for symmetric logits the gap of f is the sum of both strengths). CLUE tunes alpha; it is not tuned here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from research.models.baselines.fusion import Fusion
from research.models.baselines.late_fusion import TextOnly
from research.models.interface import LOGISTIC_SD, POLARITIES, ModelInput, Prediction, Targets, prediction_of, task_loss
from stream.domain.inference import SCORE_LIMIT
from stream.domain.modality import Modality
from stream.model.heads import Answer

DIRECT_EFFECT = 1.0


class Counterfactual(Fusion):
    """Equations (1) to (3).

    Attributes:
        alpha: Of equation (3); with 0 the answer is the total effect, which is what the loss trains.
    """

    def __init__(self, widths: dict[Modality, int], hidden: int, dropout: float) -> None:
        super().__init__(widths, hidden, dropout)
        self.text = TextOnly(widths, hidden, dropout)
        self.alpha = DIRECT_EFFECT
        self.constant = nn.Parameter(torch.zeros(POLARITIES))

    def forward(self, inputs: ModelInput) -> Prediction:
        """Equation (3)."""
        fused, of_text, total = self._effects(inputs)
        direct = functional.logsigmoid(self.constant + of_text.polarity)
        return _with_logits(fused, total - self.alpha * direct)

    def loss(self, inputs: ModelInput, targets: Targets, generator: torch.Generator) -> Tensor:
        """Equation (2)."""
        del generator
        fused, of_text, total = self._effects(inputs)
        direct = functional.logsigmoid(self.constant + of_text.polarity.detach())
        divergence = functional.kl_div(torch.log_softmax(direct, dim=1), torch.softmax(total.detach(), dim=1), reduction="batchmean")
        return task_loss(_with_logits(fused, total), targets) + task_loss(of_text, targets) + divergence

    def _effects(self, inputs: ModelInput) -> tuple[Prediction, Prediction, Tensor]:
        """What the fused state and the text say on their own, and (B, 3) f of equation (1)."""
        fused, of_text = super().forward(inputs), self.text.predict(inputs)
        return fused, of_text, functional.logsigmoid(fused.polarity + of_text.polarity)


def _with_logits(fused: Prediction, logits: Tensor) -> Prediction:
    """A prediction of (B, 3) logits with the spread of the fused one."""
    score = SCORE_LIMIT * torch.tanh(logits[:, 2] - logits[:, 0])
    return prediction_of(Answer(score, logits, fused.uncertainty / LOGISTIC_SD), fused.readouts)
