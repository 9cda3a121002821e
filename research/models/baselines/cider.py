"""CIDer-style: a backdoor adjustment whose strata are the classes (gw-zhong/CIDer, ``src/models.py``).

    (1) p(y | do x) = sum_k P(k) f_k([g(x) || g(mu_k)])

with mu_k the mean training features of class k, P(k) its share of the training windows, g the fused state of
`research.models.baselines.fusion`, and f_k the head of stratum k. The classes are the three polarities. The other part of CIDer,
a flow of counterfactual text, is left out.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from research.models.adjustment import averaged_prediction
from research.models.baselines.fusion import Fusion
from research.models.interface import POLARITIES, ModelInput, Prediction, Targets, present, utterance
from stream.domain.modality import Modality
from stream.model.heads import Answer, Head
from stream.model.nodes import Nodes, Window


class ClassPrototypes(Fusion):
    """Equation (1) over the polarities.

    Attributes:
        frequencies: (3,) P(k), equal until the end of the first pass (and mu_k = 0 until then).
    """

    frequencies: Tensor

    def __init__(self, widths: dict[Modality, int], hidden: int, dropout: float) -> None:
        super().__init__(widths, hidden, dropout)
        self.strata = nn.ModuleList(Head(2 * hidden, hidden, dropout) for _ in range(POLARITIES))
        del self.head
        for modality, width in widths.items():
            self.register_buffer(f"prototypes_{modality}", torch.zeros(POLARITIES, width))
        self.register_buffer("frequencies", torch.full((POLARITIES,), 1.0 / POLARITIES))

    def forward(self, inputs: ModelInput) -> Prediction:
        """Average the predictions over the classes, equation (1)."""
        own, means = self.fused(inputs.window), self.fused(self._means())
        answers = [stratum(torch.cat([own, mean.expand_as(own)], dim=1)) for stratum, mean in zip(self.strata, means, strict=True)]
        answer = Answer(*(torch.stack(part, dim=1) for part in zip(*answers, strict=True)))
        return averaged_prediction(answer, self.frequencies, fused=own)

    def after_epoch(self, training: Iterable[tuple[ModelInput, Targets]], generator: torch.Generator) -> None:
        """Compute mu_k and P(k) from the training windows."""
        del generator
        sums = {m: torch.zeros_like(self.prototypes(m)) for m in self.encode}
        present_counts = {m: torch.zeros(POLARITIES, 1) for m in self.encode}
        counts = torch.zeros(POLARITIES)
        for inputs, targets in training:
            of_class = functional.one_hot(targets.polarity, POLARITIES).to(torch.float32).T
            counts += of_class.sum(dim=1)
            for m in self.encode:
                nodes = inputs.window[Modality(m)]
                sums[m] += of_class @ utterance(nodes)
                present_counts[m] += of_class @ present(nodes)
        for m in self.encode:
            self.prototypes(m).copy_(sums[m] / present_counts[m].clamp_min(1.0))
        self.frequencies.copy_(counts / counts.sum())

    def prototypes(self, modality: str) -> Tensor:
        """(3, width) mu_k of one modality."""
        return self.get_buffer(f"prototypes_{modality}")

    def _means(self) -> Window:
        """The prototypes as three windows with one node for each modality."""
        times, mask = torch.zeros(POLARITIES, 1, 2), torch.ones(POLARITIES, 1)
        return {Modality(m): Nodes(self.prototypes(m).unsqueeze(1), times, mask) for m in self.encode}
