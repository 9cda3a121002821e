"""Windows in order of time: past windows, the window itself and, offline, later windows, as padded sequences."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from research.models.interface import ModelInput, utterance
from stream.domain.modality import MODALITIES, Modality


class Sequences(NamedTuple):
    """L = K + 1 windows of each row, oldest first, padding last.

    Attributes:
        values: By modality (B, L, width).
        there: By modality (B, L), 0 where the window lacks the modality, and for padding.
        lengths: (B,) int64, windows that are not padding.
        own: (B,) int64, position of the window itself.
    """

    values: dict[Modality, Tensor]
    there: dict[Modality, Tensor]
    lengths: Tensor
    own: Tensor


def in_order(inputs: ModelInput) -> Sequences:
    """Sort the context and the window itself by time."""
    past = inputs.past
    size = past.lag.shape[0]
    real = torch.stack([past.mask[m] for m in MODALITIES]).amax(dim=0)
    position = torch.where(real > 0, -past.lag, torch.full_like(past.lag, torch.iinfo(torch.int32).max))
    order = torch.cat([position, position.new_zeros(size, 1)], dim=1).argsort(dim=1, stable=True)
    values, there = {}, {}
    for modality, nodes in inputs.window.items():
        every = torch.cat([past.values[modality], utterance(nodes).unsqueeze(1)], dim=1)
        values[modality] = every.gather(1, order.unsqueeze(-1).expand(-1, -1, every.shape[2]))
        there[modality] = torch.cat([past.mask[modality], nodes.mask.amax(dim=1, keepdim=True)], dim=1).gather(1, order)
    own = (order == past.lag.shape[1]).long().argmax(dim=1)
    return Sequences(values, there, real.sum(dim=1).long() + 1, own)


def at(states: Tensor, positions: Tensor) -> Tensor:
    """Select (B, H) states at (B,) positions of (B, L, H) sequences."""
    return states.gather(1, positions.view(-1, 1, 1).expand(-1, 1, states.shape[2])).squeeze(1)
