"""The interface of all models of the tables: the rows of a table differ in the model alone.

A model is a `SentimentModel`: `ModelInput` in, `Prediction` out, and its own loss. B is the number of windows and K the number
of past windows; `stream.model.nodes` has the shapes of the nodes. A corpus with one vector per utterance has one node per
modality.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from stream.model.heads import Answer, Head, class_of, class_probabilities
from stream.model.nodes import Nodes, Past, Window
from stream.training.tokens import Tokens

POLARITIES = 3
"""Negative, neutral, positive."""

LOGISTIC_SD = torch.pi / 3**0.5
"""Standard deviation of the logistic distribution of spread 1."""


class ModelInput(NamedTuple):
    """A batch of windows.

    Attributes:
        window: Nodes of every modality; any modality may be fully masked.
        past: Other windows of the session; K may be 0.
        tokens: Word pieces of each text node, for models that train a text encoder; else empty.
    """

    window: Window
    past: Past
    tokens: tuple[Tokens, ...] = ()


class Targets(NamedTuple):
    """The targets of a batch of windows.

    Attributes:
        score: (B,) in [-3, 3]; NaN where only the polarity is known.
        polarity: (B,) int64: 0 negative, 1 neutral, 2 positive.
        rows: (B,) int64, index of the window in its data set, for models that keep a state for each window.
        weight: (B,) weight of each window in a mean; None for equal weights.
        stratum: (B,) int64, shortcut stratum of each window, where something outside the model determines it; else None.
    """

    score: Tensor
    polarity: Tensor
    rows: Tensor
    weight: Tensor | None = None
    stratum: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer for B windows.

    Attributes:
        score: (B,) in [-3, 3].
        classes: (B, 7) log-probabilities (up to a constant) of the score rounded to -3 ... 3.
        polarity: (B, 3) logits of negative, neutral, positive.
        uncertainty: (B,) standard deviation of the score, in score points.
        readouts: (B, G) states before the heads, by name (``causal``, ``shortcut``, or ``fused``), for probes.
    """

    score: Tensor
    classes: Tensor
    polarity: Tensor
    uncertainty: Tensor
    readouts: dict[str, Tensor] = field(default_factory=dict)


def prediction_of(answer: Answer, readouts: dict[str, Tensor]) -> Prediction:
    """Turn a head's answer of shape (B,) into a prediction."""
    return Prediction(answer.score, class_probabilities(answer).log(), answer.logits, LOGISTIC_SD * answer.spread, readouts)


def predicted(head: Head, readout: Tensor, **readouts: Tensor) -> Prediction:
    """Predict from (B, G) read-outs; the prediction carries the named read-outs, or else ``fused``."""
    return prediction_of(head(readout), readouts or {"fused": readout})


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


class SentimentModel(nn.Module):
    """A model of the tables. Subclasses define `forward`, and `loss` where it is not the task loss alone."""

    def predict(self, inputs: ModelInput) -> Prediction:
        """Call `forward`, with its return type."""
        prediction: Prediction = self(inputs)
        return prediction

    def loss(self, inputs: ModelInput, targets: Targets, generator: torch.Generator) -> Tensor:
        """The loss that training minimises.

        Args:
            inputs: B windows.
            targets: Their targets.
            generator: Random generator of the loss.
        """
        del generator
        return task_loss(self.predict(inputs), targets)

    def after_epoch(self, training: Iterable[tuple[ModelInput, Targets]], generator: torch.Generator) -> None:
        """Hook after each pass over the training windows, called in evaluation mode and without gradients."""


def utterance(nodes: Nodes) -> Tensor:
    """Masked mean over nodes: (B, width); zeros where a modality is absent."""
    mask = nodes.mask.unsqueeze(-1)
    return (nodes.values * mask).sum(dim=1) / mask.sum(dim=1).clamp_min(1.0)


def present(nodes: Nodes) -> Tensor:
    """(B, 1), 1 where the modality has a node."""
    return nodes.mask.amax(dim=1, keepdim=True)
