"""Equation (5): what MMCI is taught by.

    L = L_task(f_c(g^c), y) + l1 KL(U || softmax f_s(g^s)) + l2 L_task(f_cs(g^c + g^s_j), y),   l1 = l2 = 0.5

with j a random other window of the batch: CAL's recombination (Sui et al., KDD 2022). The head's score is 3 tanh(u) and its
logits are +-a u and v, so a uniform polarity also means a score of 0: the KL term needs no counterpart for the score.
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
    """Weights of the loss's parts.

    Attributes:
        shortcut: l1, of the shortcut stream's divergence from uniform.
        recombined: l2, of the recombined prediction.
        score: Of the score's absolute error against polarity's cross-entropy.
        valence: Of the score's absolute error where the target is only a valence constant.
        neutral: Of the score's absolute error from 0 where MELD calls a transcript neutral.
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
        polarity: Class.
        score: Score; 0 where there is none.
        score_weight: Weight of the score's error; 0 where there is none.
    """

    polarity: Tensor
    score: Tensor
    score_weight: Tensor


def targets(batch: Batch, gates: Tensor, weights: LossWeights) -> Targets:
    """What each coalition of each window should answer.

    With text the score is MOSI's annotation; MELD has none, but its neutral transcripts are at 0. With voice or face alone it
    is weakly pulled to three times the mean of their valence constants. With nothing at all it is MOSI's annotation again,
    so that the answer to an empty window is the middle of the training scores.

    Args:
        batch: B windows.
        gates: (B, S, 3), 1 where a modality is in the coalition.
        weights: Weights of the parts.
    """
    has_text = gates[:, :, MODALITIES.index(Modality.TEXT)]
    others = gates[:, :, 1:]
    constants = SCORE_LIMIT * (others * batch.valence.unsqueeze(1)).sum(dim=2) / others.sum(dim=2).clamp_min(1.0)
    annotated = (~batch.score.isnan()).float().unsqueeze(1)
    only_others = (1.0 - has_text) * (others.sum(dim=2) > 0).float()
    score = (1.0 - only_others) * batch.score.nan_to_num().unsqueeze(1) + only_others * constants
    said_neutral = has_text * (1.0 - annotated) * (batch.polarity == NEUTRAL).float().unsqueeze(1)
    score_weight = weights.score * (1.0 - only_others) * annotated + weights.valence * only_others + weights.neutral * said_neutral
    return Targets(batch.polarity.unsqueeze(1).expand(-1, gates.shape[1]), score, score_weight)


def task_loss(answer: Answer, wanted: Targets) -> Tensor:
    """L_task: cross-entropy of polarity plus weighted absolute error of the score, mean over (B, S)."""
    polarity = functional.cross_entropy(answer.logits.flatten(0, 1), wanted.polarity.flatten())
    return polarity + (wanted.score_weight * (answer.score - wanted.score).abs()).mean()


def causal_intervention_loss(model: MMCI, batch: Batch, gates: Tensor, weights: LossWeights, generator: torch.Generator) -> Tensor:
    """Equation (5) for a batch of windows in S coalitions each."""
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
