"""Equation (5): the training loss of MMCI.

    L = L_task(f_c(g^c), y) + l1 KL(U || softmax f_s(g^s)) + l2 L_task(f_cs(g^c + g^s_j), y),   l1 = l2 = 0.5

with j a random window of the batch: the recombination of CAL (Sui et al., KDD 2022). A head has the score 3 tanh(u) and the
logits +-a u and v. So a uniform polarity implies a score of 0, and the KL term needs no counterpart for the score.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stream.domain.inference import SCORE_LIMIT
from stream.domain.modality import MODALITIES, Modality
from stream.model.heads import Answer, uniform_divergence
from stream.model.mmci import MMCI
from stream.training.corpora import NEUTRAL
from stream.training.windows import Batch


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weights of the parts of the loss.

    Attributes:
        shortcut: l1, weight of the shortcut stream's divergence from uniform.
        recombined: l2, weight of the loss of the recombined prediction.
        score: Weight of the score's absolute error, relative to the cross-entropy of the polarity.
        valence: Weight of the score's squared error where the target is only a valence constant: the score is then the mean
            of what the voice or the face may mean, and small where they say little.
        neutral: Weight of the score's absolute error from 0 where MELD labels a transcript neutral.
    """

    shortcut: float = 0.5
    recombined: float = 0.5
    score: float = 1.0
    valence: float = 0.1
    neutral: float = 0.5


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets of B windows in S coalitions, each (B, S).

    Attributes:
        polarity: Classes.
        score: Scores; 0 where no target is known.
        score_weight: Weights of the score's absolute error; 0 where no target is known.
        valence_weight: Weights of the score's squared error.
    """

    polarity: Tensor
    score: Tensor
    score_weight: Tensor
    valence_weight: Tensor


def targets(batch: Batch, gates: Tensor, weights: LossWeights) -> Targets:
    """Targets of each coalition of each window.

    A single modality has the polarity of its own part, all other coalitions have that of the window. So MMCI learns from windows
    whose parts do not go together how much to trust each beside the others, and still how sure each is by itself.

    With text, the score is MOSI's annotation; MELD has none, but its neutral transcripts get the score 0. With only voice or
    face, the target is three times the mean of their valence constants, with a small weight. Without any modality it is MOSI's
    annotation again, so that the answer to an empty window is the middle of the training scores.

    `gates` is (B, S, 3), 1 where a modality belongs to the coalition.
    """
    has_text = gates[:, :, MODALITIES.index(Modality.TEXT)]
    others = gates[:, :, 1:]
    constants = SCORE_LIMIT * (others * batch.valence.unsqueeze(1)).sum(dim=2) / others.sum(dim=2).clamp_min(1.0)
    annotated = (~batch.score.isnan()).float().unsqueeze(1)
    only_others = (1.0 - has_text) * (others.sum(dim=2) > 0).float()
    score = (1.0 - only_others) * batch.score.nan_to_num().unsqueeze(1) + only_others * constants
    labelled_neutral = has_text * (1.0 - annotated) * (batch.polarity == NEUTRAL).float().unsqueeze(1)
    score_weight = weights.score * (1.0 - only_others) * annotated + weights.neutral * labelled_neutral
    single = (gates.sum(dim=2) == 1.0).expand(batch.polarity.shape[0], -1)
    own = batch.own_polarity.gather(1, gates.argmax(dim=2).expand_as(single))
    polarity = torch.where(single, own, batch.polarity.unsqueeze(1))
    return Targets(polarity, score, score_weight, weights.valence * only_others)


def task_loss(answer: Answer, wanted: Targets) -> Tensor:
    """L_task: cross-entropy of the polarity plus weighted absolute and squared errors of the score, mean over (B, S)."""
    polarity = functional.cross_entropy(answer.logits.flatten(0, 1), wanted.polarity.flatten())
    error = answer.score - wanted.score
    return polarity + (wanted.score_weight * error.abs() + wanted.valence_weight * error.square()).mean()


def causal_intervention_loss(model: MMCI, batch: Batch, gates: Tensor, weights: LossWeights, generator: torch.Generator) -> Tensor:
    """Equation (5) for B windows in S coalitions each; `gates` is (B, S, 3)."""
    wanted = targets(batch, gates, weights)
    streams = model(batch.window, gates, batch.past)
    causal, shortcut = streams.causal.readout, streams.shortcut.readout
    size = shortcut.shape[0] * shortcut.shape[1]
    other = torch.randperm(size, generator=generator)
    swapped = shortcut.flatten(0, 1)[other].unflatten(0, shortcut.shape[:2])
    divergence = uniform_divergence(model.head_shortcut(shortcut).logits)
    loss: Tensor = (
        task_loss(model.head_causal(causal), wanted)
        + weights.shortcut * divergence
        + weights.recombined * task_loss(model.head(causal + swapped), wanted)
    )
    return loss
