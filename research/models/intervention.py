"""The rows of MMCI in the tables: the graph network with one of three interventions on the shortcut.

    (5) L = L_task(f_c(g^c), y) + l1 KL(U || softmax f_s(g^s)) + l2 L_task(y_do, y),   l1 = l2 = 0.5 as in CAL

where y_do, the prediction under intervention, is

- ``recombination`` (CAL, Sui et al., KDD 2022): f_cs(g^c + g^s_j) with j a random window of the batch; the answer is
  f_c(g^c), as in CAL;
- ``strata``: sum_k P(s_k) f_cs(g^c + w_k(g^c) s_k) over the bank of `research.models.adjustment.DynamicBank`; the answer is the same sum.
  If windows have a stratum (`Targets.stratum`), s_k is the mean g^s of the training windows in stratum k and P(s_k) their share;
  else both come from clustering g^s;
- ``none``: f_cs(g^c + g^s) with the shortcut of the window itself, which is also the answer: no adjustment.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from research.models.adjustment import DynamicBank, averaged_prediction, stratum_means
from research.models.interface import ModelInput, Prediction, SentimentModel, Targets, predicted, task_loss
from stream.domain.modality import MODALITIES
from stream.model.backdoor import k_means
from stream.model.config import MMCIConfig
from stream.model.heads import uniform_divergence
from stream.model.mmci import MMCI

Intervention = Literal["recombination", "strata", "none"]

UNIFORM_WEIGHT = 0.5
INTERVENTION_WEIGHT = 0.5
BANK_WINDOWS = 2_048
"""Number of training windows whose shortcut read-outs are clustered into strata."""


class InterventionModel(SentimentModel):
    """MMCI with the common interface.

    Attributes:
        network: Equations (1) to (4).
        intervention: The intervention; see the module.
        shortcut_stream: False removes the shortcut stream and with it the intervention; the answer is f_c(g^c).
    """

    def __init__(self, config: MMCIConfig, intervention: Intervention, *, shortcut_stream: bool = True) -> None:
        super().__init__()
        self.network = MMCI(config)
        self.network.bank = DynamicBank(config.strata, config.readout)
        self.intervention = intervention
        self.shortcut_stream = shortcut_stream

    def readouts(self, inputs: ModelInput) -> tuple[Tensor, Tensor]:
        """(B, G) causal and shortcut read-outs with all present modalities."""
        gates = next(iter(inputs.window.values())).mask.new_ones(1, 1, len(MODALITIES))
        streams = self.network(inputs.window, gates, inputs.past)
        return streams.causal.readout[:, 0], streams.shortcut.readout[:, 0]

    def forward(self, inputs: ModelInput) -> Prediction:
        """Answer with the configured intervention."""
        causal, shortcut = self.readouts(inputs)
        if not self.shortcut_stream or self.intervention == "recombination":
            return predicted(self.network.head_causal, causal, causal=causal, shortcut=shortcut)
        if self.intervention == "strata":
            return self.adjusted(causal, shortcut)
        return predicted(self.network.head, causal + shortcut, causal=causal, shortcut=shortcut)

    def adjusted(self, causal: Tensor, shortcut: Tensor) -> Prediction:
        """Average the predictions over the strata of the bank, from (B, G) causal read-outs."""
        bank, head = self.network.bank, self.network.head
        return averaged_prediction(head.answer(bank.recombine(head, causal)), bank.frequencies, causal=causal, shortcut=shortcut)

    def loss(self, inputs: ModelInput, targets: Targets, generator: torch.Generator) -> Tensor:
        """Equation (5)."""
        causal, shortcut = self.readouts(inputs)
        loss = task_loss(predicted(self.network.head_causal, causal), targets)
        if not self.shortcut_stream:
            return loss
        of_shortcut = predicted(self.network.head_shortcut, shortcut)
        divergence = uniform_divergence(of_shortcut.polarity) + uniform_divergence(of_shortcut.classes)
        return loss + UNIFORM_WEIGHT * divergence + INTERVENTION_WEIGHT * task_loss(self._intervened(causal, shortcut, generator), targets)

    def _intervened(self, causal: Tensor, shortcut: Tensor, generator: torch.Generator) -> Prediction:
        if self.intervention == "strata":
            return self.adjusted(causal, shortcut)
        if self.intervention == "recombination":
            shortcut = shortcut[torch.randperm(shortcut.shape[0], generator=generator)]
        return predicted(self.network.head, causal + shortcut)

    def after_epoch(self, training: Iterable[tuple[ModelInput, Targets]], generator: torch.Generator) -> None:
        """Compute the strata s_k and P(s_k) from shortcut read-outs of training windows."""
        if self.intervention != "strata" or not self.shortcut_stream:
            return
        bank, count = self.network.bank, self.network.config.strata
        found: list[Tensor] = []
        known: list[Tensor] = []
        for inputs, targets in training:
            found.append(self.readouts(inputs)[1])
            if targets.stratum is not None:
                known.append(targets.stratum)
            elif sum(part.shape[0] for part in found) >= BANK_WINDOWS:
                break
        points = torch.cat(found)
        bank.set(*(stratum_means(points, torch.cat(known), count) if known else k_means(points, count, generator)))
