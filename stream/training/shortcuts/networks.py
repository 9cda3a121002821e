"""Small networks on utterance vectors, one per defence, behind one interface: a loss of a batch, logits, and read-outs for probes.

Each reads one vector of every modality. They are sized for thousands of trainings on one thread, not for the best accuracy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from stream.domain.modality import MODALITIES, Modality

HIDDEN = 32
CLASSES = 2
INPUT_DROPOUT, DROPOUT = 0.2, 0.3

Inputs = dict[Modality, Tensor]
"""Modality to (B, d_m)."""


class Defence(nn.Module, ABC):
    """A classifier with its own training objective."""

    def loss(self, inputs: Inputs, labels: Tensor, weights: Tensor) -> Tensor:
        """Objective on a batch: inputs, (B,) labels, (B,) weights of the rows."""
        losses = functional.cross_entropy(self.logits(inputs), labels, reduction="none")
        return (losses * weights).mean()

    @abstractmethod
    def logits(self, inputs: Inputs) -> Tensor:
        """(B, 2)."""

    @abstractmethod
    def readouts(self, inputs: Inputs) -> dict[str, Tensor]:
        """``causal``, what the prediction is made from, and where there is one ``shortcut``: (B, G) each."""


class Encoders(nn.Module):
    """h_m = Dropout(ReLU(W_m Dropout(x_m)))."""

    def __init__(self, widths: dict[Modality, int]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({m: nn.Linear(width, HIDDEN) for m, width in widths.items()})
        self.modalities = [m for m in MODALITIES if m in widths]

    def forward(self, inputs: Inputs) -> list[Tensor]:
        """(B, H) of every modality that the network has."""
        dropped = (functional.dropout(inputs[m], INPUT_DROPOUT, self.training) for m in self.modalities)
        return [
            functional.dropout(functional.relu(self.layers[m](x)), DROPOUT, self.training)
            for m, x in zip(self.modalities, dropped, strict=True)
        ]


class Fusion(Defence):
    """Plain fusion: ERM, text only (with one width), group reweighting (by the rows' weights) and, behind an eraser, ours.

    (10) g = ReLU(W [h_T || h_A || h_V]),  p = softmax(W' g)
    """

    def __init__(self, widths: dict[Modality, int]) -> None:
        super().__init__()
        self.encoders = Encoders(widths)
        self.middle = nn.Linear(HIDDEN * len(widths), HIDDEN)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def fused(self, inputs: Inputs) -> Tensor:
        """(B, H) g of (10)."""
        return functional.dropout(functional.relu(self.middle(torch.cat(self.encoders(inputs), dim=1))), DROPOUT, self.training)

    def logits(self, inputs: Inputs) -> Tensor:
        """(B, 2) before the softmax of (10)."""
        logits: Tensor = self.head(self.fused(inputs))
        return logits

    def readouts(self, inputs: Inputs) -> dict[str, Tensor]:
        """G of (10)."""
        return {"causal": self.fused(inputs)}


class CausalGraph(Defence):
    """CAL on a graph of one node a modality with typed relations: MMCI as most probably published.

    (11) [b^c, b^s]_i = softmax(W^n h_i),  [a^c, a^s]_ij = softmax(W_ij [h_i || h_j])
    (12) z_i^k = ReLU(W_0^k b_i^k h_i + 1/|N| sum_j a_ij^k W_ij^k b_j^k h_j),  g^k = [z_T^k || z_A^k || z_V^k],  k in {c, s}
    (13) L = CE(f_c(g^c), y) + 1/2 KL(U || f_s(g^s)) + 1/2 CE(f_cs(g^c + g^s[perm]), y)
    """

    def __init__(self, widths: dict[Modality, int]) -> None:
        super().__init__()
        self.encoders = Encoders(widths)
        count = len(widths)
        self.pairs = [(i, j) for i in range(count) for j in range(count) if i != j]
        self.node = nn.Linear(HIDDEN, 2)
        self.edges = nn.ModuleList(nn.Linear(2 * HIDDEN, 2) for _ in self.pairs)
        self.own = nn.ModuleList(nn.Linear(HIDDEN, HIDDEN) for _ in range(2))
        self.messages = nn.ModuleList(nn.Linear(HIDDEN, HIDDEN, bias=False) for _ in range(2 * len(self.pairs)))
        self.heads = nn.ModuleList(_head(HIDDEN * count) for _ in range(3))

    def streams(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """g^c and g^s of (12), (B, modalities * H)."""
        nodes = self.encoders(inputs)
        shares = [torch.softmax(self.node(h), dim=1) for h in nodes]
        attention = [
            torch.softmax(edge(torch.cat([nodes[i], nodes[j]], dim=1)), dim=1) for edge, (i, j) in zip(self.edges, self.pairs, strict=True)
        ]
        causal, shortcut = (self._stream(k, nodes, shares, attention) for k in range(2))
        return causal, shortcut

    def _stream(self, k: int, nodes: Sequence[Tensor], shares: Sequence[Tensor], attention: Sequence[Tensor]) -> Tensor:
        offered = [share[:, k : k + 1] * h for h, share in zip(nodes, shares, strict=True)]
        heard = [self.own[k](h) for h in offered]
        for index, (i, j) in enumerate(self.pairs):
            heard[i] = heard[i] + attention[index][:, k : k + 1] * self.messages[k * len(self.pairs) + index](offered[j]) / (len(nodes) - 1)
        return torch.cat([functional.relu(h) for h in heard], dim=1)

    def loss(self, inputs: Inputs, labels: Tensor, weights: Tensor) -> Tensor:
        """Equation (13)."""
        causal, shortcut = self.streams(inputs)
        other = shortcut[torch.randperm(shortcut.shape[0])]
        of_causal = functional.cross_entropy(self.heads[0](causal), labels, reduction="none")
        of_both = functional.cross_entropy(self.heads[2](causal + other), labels, reduction="none")
        uniform = torch.full((labels.shape[0], CLASSES), 1.0 / CLASSES)
        from_uniform = functional.kl_div(functional.log_softmax(self.heads[1](shortcut), dim=1), uniform, reduction="batchmean")
        return ((of_causal + 0.5 * of_both) * weights).mean() + 0.5 * from_uniform

    def logits(self, inputs: Inputs) -> Tensor:
        """(B, 2) f_c(g^c)."""
        logits: Tensor = self.heads[0](self.streams(inputs)[0])
        return logits

    def readouts(self, inputs: Inputs) -> dict[str, Tensor]:
        """Both streams."""
        causal, shortcut = self.streams(inputs)
        return {"causal": causal, "shortcut": shortcut}


class Prototypes(Fusion):
    """CIDer-style backdoor over class prototypes mu_k, the mean training rows of class k.

    (14) p(y | do x) = sum_k P(k) softmax(W_k [g(x) || g(mu_k)]),  L = -log p(y | do x)
    """

    def __init__(self, widths: dict[Modality, int], prototypes: Inputs, frequencies: Tensor) -> None:
        super().__init__(widths)
        self.prototypes, self.frequencies = prototypes, frequencies
        self.strata = nn.ModuleList(nn.Linear(2 * HIDDEN, CLASSES) for _ in frequencies)

    def logits(self, inputs: Inputs) -> Tensor:
        """(B, 2) log p of (14)."""
        own, means = self.fused(inputs), self.fused(self.prototypes)
        answers = [torch.softmax(stratum(torch.cat([own, means[k].expand_as(own)], dim=1)), dim=1) for k, stratum in enumerate(self.strata)]
        return torch.log((torch.stack(answers) * self.frequencies[:, None, None]).sum(dim=0).clamp_min(1e-8))


class Reweighted(Fusion):
    """GEAR-style: a branch per modality learns what is easy (generalised cross-entropy), the robust branch the rest.

    (15) L_m = (1 - p_m(y)^q) / q,  q = .7;   W = l_b / (l_b + l_c),  l_b = mean_m CE_m;   L = W CE(f(g), y) + sum_m L_m
    """

    EASINESS = 0.7

    def __init__(self, widths: dict[Modality, int]) -> None:
        super().__init__(widths)
        self.easy = nn.ModuleDict({m: _head(width) for m, width in widths.items()})

    def loss(self, inputs: Inputs, labels: Tensor, weights: Tensor) -> Tensor:
        """Equation (15)."""
        branches = [branch(inputs[Modality(name)]) for name, branch in self.easy.items()]
        right = [torch.softmax(logits, dim=1).gather(1, labels[:, None]).squeeze(1).clamp_min(1e-6) for logits in branches]
        of_branches = sum(((1.0 - share**self.EASINESS) / self.EASINESS).mean() for share in right)
        biased = torch.stack([-torch.log(share) for share in right]).mean(dim=0).detach()
        robust = functional.cross_entropy(self.logits(inputs), labels, reduction="none")
        importance = biased / (biased + robust.detach() + 1e-8)
        return (robust * importance * weights).mean() / importance.mean() + of_branches


class Counterfactual(Fusion):
    """CLUE-style: the text's own effect on the answer is learned beside the fused one and taken off at test.

    (16) fused = log sigma(o + o_T),  L = CE(fused) + CE(o_T) + KL(fused || log sigma(c + o_T));   answer = fused - alpha log sigma(c + o_T)
    """

    def __init__(self, widths: dict[Modality, int]) -> None:
        super().__init__(widths)
        self.text = _head(widths[Modality.TEXT])
        self.constant = nn.Parameter(torch.zeros(CLASSES))
        self.alpha = 1.0

    def _answers(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
        of_text = self.text(inputs[Modality.TEXT])
        return functional.logsigmoid(super().logits(inputs) + of_text), functional.logsigmoid(self.constant + of_text.detach()), of_text

    def loss(self, inputs: Inputs, labels: Tensor, weights: Tensor) -> Tensor:
        """Equation (16)."""
        fused, direct, of_text = self._answers(inputs)
        losses = functional.cross_entropy(fused, labels, reduction="none") + functional.cross_entropy(of_text, labels, reduction="none")
        calibration = functional.kl_div(functional.log_softmax(direct, dim=1), torch.softmax(fused.detach(), dim=1), reduction="batchmean")
        return (losses * weights).mean() + calibration

    def logits(self, inputs: Inputs) -> Tensor:
        """(B, 2) total effect less alpha times the text's natural direct effect."""
        fused, direct, _ = self._answers(inputs)
        return fused - self.alpha * direct


def _head(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, CLASSES))
