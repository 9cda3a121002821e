"""CLUE-style: the direct effect of the text on the answer is learned and subtracted (Teng-Sun/CLUE_model).

    (1) f = log sigma(o + o_T),   d = log sigma(c + o_T)           o: logits of the fused state, o_T: of the text alone, c: learned
    (2) L = L_task(f) + L_task(o_T) + KL(softmax f || softmax d)   no gradient through f in the divergence, nor through o_T in d
    (3) answer = f - alpha d,   alpha = 1                          total effect minus the natural direct effect of the text

The logits are those of the polarity. The score is 3 tanh of the difference between the positive and the negative one: as
log sigma(x) - log sigma(-x) = x, this difference is the sum of both strengths if the logits are symmetric. CLUE tunes alpha; here
it is not tuned.
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
        alpha: Factor of equation (3). With 0 the answer is the total effect, which the loss trains.
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
        """Predictions of the fused state and of the text alone, and (B, 3) f of equation (1)."""
        fused, of_text = super().forward(inputs), self.text.predict(inputs)
        return fused, of_text, functional.logsigmoid(fused.polarity + of_text.polarity)


def _with_logits(fused: Prediction, logits: Tensor) -> Prediction:
    """A prediction with (B, 3) logits and the spread of the fused prediction."""
    score = SCORE_LIMIT * torch.tanh(logits[:, 2] - logits[:, 0])
    return prediction_of(Answer(score, logits, fused.uncertainty / LOGISTIC_SD), fused.readouts)
