"""Penalties that make a network right for the right reasons, on windows that reviewers have judged; they need no labels.

A reviewer marks what must not be used (a negative mask) or where the feeling shows (a positive one). Two penalties make something of it:

- `explanation_penalty`: the relevance of masked nodes is drawn to 0, and that of all nodes to those of a positive mask; after Ross et al.,
  "Right for the Right Reasons" (IJCAI 2017). The relevance of a node is input times gradient of the adjusted score.
- `pair_penalty`: the score of a window is drawn to that of the same window without what is masked, encoded again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stream.domain.modality import MODALITIES, Modality
from stream.model.mmci import MMCI
from stream.model.nodes import Past, Window
from stream.training.windows import Batch

GATES = torch.tensor([[[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]])
"""A penalty looks at the window with all its modalities and at its words alone."""

EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class Judged:
    """Windows with a word that must not be used.

    Attributes:
        marked: The windows as they are.
        without: The same windows without the word, encoded again.
        masks: (n, N_text) 1 for the nodes of the word.
        evidence: (n, N_text) 1 for the nodes of all other words.
    """

    marked: Batch
    without: Batch
    masks: Tensor
    evidence: Tensor

    def drawn(self, rng: np.random.Generator, size: int) -> Judged:
        """Some of them."""
        chosen = torch.from_numpy(rng.permutation(self.masks.shape[0])[:size])
        return Judged(_rows(self.marked, chosen), _rows(self.without, chosen), self.masks[chosen], self.evidence[chosen])


def explanation_penalty(model: MMCI, judged: Judged, *, positive: bool) -> Tensor:
    """Mean square of the relevance of masked words, in score points; with `positive`, plus the share of it outside of the evidence."""
    window = dict(judged.marked.window)
    values = window[Modality.TEXT].values.clone().requires_grad_()
    window[Modality.TEXT] = window[Modality.TEXT]._replace(values=values)
    scores = adjusted_scores(model, window, judged.marked.past)
    penalty = torch.zeros(())
    for place in range(scores.shape[1]):
        (slopes,) = torch.autograd.grad(scores[:, place].sum(), values, create_graph=True)
        relevance = (slopes * values).sum(dim=2)
        penalty = penalty + ((relevance * judged.masks).sum(dim=1)).square().mean()
        if positive:
            size = relevance.abs()
            penalty = penalty + (1.0 - (size * judged.evidence).sum(dim=1) / (size.sum(dim=1) + EPSILON)).mean()
    return penalty


def pair_penalty(model: MMCI, judged: Judged) -> Tensor:
    """Mean square of what the masked word changes, in score points. The score without it stands for the truth: it gets no gradient."""
    with torch.no_grad():
        wanted = adjusted_scores(model, judged.without.window, judged.without.past)
    return (adjusted_scores(model, judged.marked.window, judged.marked.past) - wanted).square().mean()


def adjusted_scores(model: MMCI, window: Window, past: Past) -> Tensor:
    """(B, 2) scores of all modalities and of the words alone."""
    readout = model(window, GATES, past).causal.readout
    return model.bank.adjust(model.head, readout, torch.ones(readout.shape[:2])).score


def _rows(batch: Batch, chosen: Tensor) -> Batch:
    window = {m: nodes._replace(**{name: getattr(nodes, name)[chosen] for name in nodes._fields}) for m, nodes in batch.window.items()}
    past = Past(
        {m: batch.past.values[m][chosen] for m in MODALITIES},
        {m: batch.past.mask[m][chosen] for m in MODALITIES},
        batch.past.lag[chosen],
        batch.past.same_speaker[chosen],
    )
    labels = (batch.polarity[chosen], batch.own_polarity[chosen], batch.score[chosen])
    return Batch(window, *labels, batch.valence[chosen], batch.aroused[chosen], past)
