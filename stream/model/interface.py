"""What every model variant takes and gives, so that the rows of a table differ in the model alone.

A variant is a `SentimentModel`: `ModelInput` in, `Prediction` out, and its own loss. B is the number of windows, N_m the
number of nodes of modality m in a window (words, voice segments, frames; 1 where a corpus has one vector an utterance),
K the number of past windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from stream.domain.modality import MODALITIES, Modality

CLASSES = 7
"""Classes of a score rounded to the nearest of -3 ... 3."""

POLARITIES = 3
"""Negative, neutral, positive."""


class Nodes(NamedTuple):
    """The nodes of one modality of a batch of windows.

    Attributes:
        values: (B, N_m, width) encoder outputs.
        times: (B, N_m, 2) start and end, seconds.
        mask: (B, N_m), 0 where there is no node.
    """

    values: Tensor
    times: Tensor
    mask: Tensor


Window = dict[Modality, Nodes]


class Past(NamedTuple):
    """Finished windows around each window: the mean features of their nodes.

    Attributes:
        values: By modality (B, K, width).
        mask: By modality (B, K), 0 where there is no window or it lacked the modality.
        lag: (B, K) int64, how many windows ago, from 1; negative for later windows, which only an offline model may see.
        same_speaker: (B, K), 1 where the speaker is the one of the window itself.
    """

    values: dict[Modality, Tensor]
    mask: dict[Modality, Tensor]
    lag: Tensor
    same_speaker: Tensor


class Tokens(NamedTuple):
    """Word pieces for a text encoder that is trained along.

    Attributes:
        ids: (B, T) int64.
        mask: (B, T), 0 where padded.
        own: (B, T), 1 for the pieces of the window itself; the others are earlier utterances put before it.
    """

    ids: Tensor
    mask: Tensor
    own: Tensor


class ModelInput(NamedTuple):
    """A batch of windows.

    Attributes:
        window: Nodes of every modality; any of them may be fully masked.
        past: Other windows of the session; K may be 0.
        tokens: Only for models with a text encoder of their own: one for each text node.
    """

    window: Window
    past: Past
    tokens: tuple[Tokens, ...] = ()


class Targets(NamedTuple):
    """What a batch of windows should be given.

    Attributes:
        score: (B,) in [-3, 3]; NaN where only the polarity is known.
        polarity: (B,) int64: 0 negative, 1 neutral, 2 positive.
        rows: (B,) int64, number of the window in its data set, for models that remember something of each.
        weight: (B,) how much each window counts in a mean; None where all count alike.
        stratum: (B,) int64, which shortcut stratum each window is in, where that is known from outside the model.
    """

    score: Tensor
    polarity: Tensor
    rows: Tensor
    weight: Tensor | None = None
    stratum: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of B windows.

    Attributes:
        score: (B,) in [-3, 3].
        classes: (B, 7) log-probabilities (up to a constant) of the score rounded to -3 ... 3.
        polarity: (B, 3) logits of negative, neutral, positive.
        uncertainty: (B,) standard deviation of the score, score points.
        readouts: (B, G) states before the heads, by name (``causal``, ``shortcut``, or ``fused``), for probes.
    """

    score: Tensor
    classes: Tensor
    polarity: Tensor
    uncertainty: Tensor
    readouts: dict[str, Tensor] = field(default_factory=dict)


def task_loss(prediction: Prediction, targets: Targets) -> Tensor:
    """L_task: |score - y| + 0.5 NLL(seven classes) + 0.5 CE(polarity), weighted means over the windows that have the target."""
    weight = targets.weight
    polarity = weighted_mean(functional.cross_entropy(prediction.polarity, targets.polarity, reduction="none"), weight)
    known = ~targets.score.isnan()
    if not bool(known.any()):
        return polarity
    score, weight = targets.score[known], None if weight is None else weight[known]
    error = weighted_mean((prediction.score[known] - score).abs(), weight)
    classes = weighted_mean(functional.cross_entropy(prediction.classes[known], class_of(score), reduction="none"), weight)
    return error + 0.5 * classes + 0.5 * polarity


def weighted_mean(losses: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of (B,) losses: sum_i w_i l_i / sum_i w_i; without weights the plain mean."""
    return losses.mean() if weight is None else (losses * weight).sum() / weight.sum().clamp_min(1e-8)


def class_of(score: Tensor) -> Tensor:
    """(B,) scores to (B,) classes 0 ... 6."""
    return score.round().clamp(-3, 3).long() + 3


class SentimentModel(nn.Module):
    """A model variant; subclasses give `forward` and, where theirs differs, `loss`."""

    def predict(self, inputs: ModelInput) -> Prediction:
        """`forward` with its type."""
        prediction: Prediction = self(inputs)
        return prediction

    def loss(self, inputs: ModelInput, targets: Targets, generator: torch.Generator) -> Tensor:
        """What a training step lowers.

        Args:
            inputs: B windows.
            targets: Their targets.
            generator: Source of every random choice of the loss.
        """
        del generator
        return task_loss(self.predict(inputs), targets)

    def after_epoch(self, training: Iterable[tuple[ModelInput, Targets]], generator: torch.Generator) -> None:
        """Called after each pass over the training windows, in evaluation mode and without gradients; does nothing here."""


def utterance(nodes: Nodes) -> Tensor:
    """Masked mean over nodes: (B, width); zeros where a modality is absent."""
    mask = nodes.mask.unsqueeze(-1)
    return (nodes.values * mask).sum(dim=1) / mask.sum(dim=1).clamp_min(1.0)


def present(nodes: Nodes) -> Tensor:
    """(B, 1), 1 where the modality has a node."""
    return nodes.mask.amax(dim=1, keepdim=True)


def no_past(window: Window) -> Past:
    """A past of K = 0 windows."""
    values = {m: nodes.values.new_zeros(nodes.values.shape[0], 0, nodes.values.shape[2]) for m, nodes in window.items()}
    empty = next(iter(values.values())).new_zeros(next(iter(values.values())).shape[0], 0)
    return Past(values, dict.fromkeys(MODALITIES, empty), empty.long(), empty)
