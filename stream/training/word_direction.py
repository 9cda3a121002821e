"""Projection: what a word adds to the states of words is taken out of a network, without a training.

    (1)  d = mean_i (mean_j x_ij with the word - mean_j x_ij without it)
    (2)  P x = x - d (r . x),   r = argmin E (r . x)^2 + k |r|^2 with r . d = 1,   x: states without the word
    (3)  S' = S P,   W' = W diag(g) P_n,   e' = e + W b

x_ij is the state of word j of sentence i. Of all projections along d, (2) changes the states without the word least, as in LEACE
(Belrose et al., NeurIPS 2023); r has the closed form of a ridge regression. The one along d at a right angle takes much more with it.

S are the weights that read the states: the skip, and the estimate of words' effects. In front of the nodes stands a LayerNorm with gain g
and offset b. P_n is the projection of its result before gain and offset; it goes into the weights W and the offset e of the layer behind.
So the graph keeps its shape and its speed.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stream.domain.modality import Modality
from stream.model.mmci import NodeEncoder
from stream.model.served import ServedMMCI
from stream.model.streams import Skip

LEAST_LENGTH = 1e-3
"""A shorter d is no direction: the word does not move the states, or there are no sentences."""

RIDGE = 0.01
"""k, relative to the mean square of a state's numbers."""

EPSILON = 1e-5
"""Of the LayerNorm, as torch has it."""

States = npt.NDArray[np.floating[Any]]


class NoDirectionError(ValueError):
    """The states with the word and without it are the same, or there are none."""


class Oblique(NamedTuple):
    """Equation (2): (384,) d, along which it projects, and (384,) r, which tells how far."""

    along: Tensor
    told_by: Tensor

    def of(self, weights: Tensor) -> Tensor:
        """(…, 384) weights that read the projected states."""
        return weights - (weights @ self.along).unsqueeze(-1) * self.told_by


class WordProjection(NamedTuple):
    """The projections of word states as they are, and after the LayerNorm."""

    states: Oblique
    normalised: Oblique


def word_projection(plain: Sequence[States], marked: Sequence[States]) -> WordProjection:
    """Equations (1) and (2).

    Args:
        plain: (n_i, 384) states of the words of each sentence without the word.
        marked: States of the same sentences with it.

    Raises:
        NoDirectionError: There are no sentences, or the states do not differ.
    """
    pairs = [(before.astype(np.float64), after.astype(np.float64)) for before, after in zip(plain, marked, strict=True) if len(before)]
    if not pairs:
        raise NoDirectionError("there are no sentences")
    return WordProjection(_oblique(pairs), _oblique([(_normalised(before), _normalised(after)) for before, after in pairs]))


def without_word(served: ServedMMCI, projection: WordProjection) -> ServedMMCI:
    """The network by equation (3); `served` stays as it is."""
    changed = copy.deepcopy(served)
    skip = cast("Skip", changed.model.causal.skip[Modality.TEXT])
    encoder = cast("NodeEncoder", changed.model.encode[Modality.TEXT])
    norm, layer = cast("nn.LayerNorm", encoder.before), encoder.project
    with torch.no_grad():
        skip.project.weight.copy_(projection.states.of(skip.project.weight))
        changed.word_ridge[:-1] = projection.states.of(changed.word_ridge[:-1])
        layer.bias.add_(layer.weight @ norm.bias)
        layer.weight.copy_(projection.normalised.of(layer.weight * norm.weight))
        norm.weight.fill_(1.0)
        norm.bias.zero_()
    return changed


def _oblique(pairs: Sequence[tuple[States, States]]) -> Oblique:
    along = np.mean([after.mean(axis=0) - before.mean(axis=0) for before, after in pairs], axis=0)
    if float(np.linalg.norm(along)) < LEAST_LENGTH:
        raise NoDirectionError("the word does not move the states of the sentences")
    states = np.concatenate([before for before, _ in pairs])
    squares = states.T @ states / len(states)
    read = np.linalg.solve(squares + RIDGE * np.trace(squares) / len(squares) * np.eye(len(squares)), along)
    return Oblique(*(torch.from_numpy(own.astype(np.float32)) for own in (along, read / (read @ along))))


def _normalised(states: States) -> States:
    centred = states - states.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + EPSILON))
