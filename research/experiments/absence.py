"""Removal of modalities from windows: modality dropout in training, and missing modalities at test."""

from __future__ import annotations

import torch
from torch import Tensor

from research.models.interface import ModelInput, present
from stream.domain.modality import MODALITIES, Modality
from stream.model.nodes import Nodes, Past, Window


def draw_missing(window: Window, chance: float, generator: torch.Generator) -> dict[Modality, Tensor]:
    """Draw the modalities that each window loses, independently, but never all that it has.

    A window that would lose everything keeps one of its modalities, drawn with equal probability.

    Args:
        window: Nodes of B windows.
        chance: Probability of losing a modality.
        generator: Random generator.

    Returns:
        By modality, (B,) with 1 where the modality is lost.
    """
    there = torch.cat([present(window[m]) for m in MODALITIES], dim=1)
    kept = there * (torch.rand(there.shape, generator=generator) >= chance)
    rescued = torch.rand(there.shape, generator=generator).masked_fill(there == 0, -1.0).argmax(dim=1, keepdim=True)
    empty = kept.sum(dim=1, keepdim=True) == 0
    kept = torch.where(empty, torch.zeros_like(kept).scatter(1, rescued, 1.0), kept)
    return {m: 1.0 - kept[:, index] for index, m in enumerate(MODALITIES)}


def without(inputs: ModelInput, missing: dict[Modality, Tensor]) -> ModelInput:
    """Remove modalities from windows and from their past windows.

    Args:
        inputs: B windows.
        missing: By modality, (B,) with 1 where the modality is removed.
    """
    stays = {m: (1.0 - gone).unsqueeze(1) for m, gone in missing.items()}
    window = {m: _scaled(nodes, stays[m]) if m in stays else nodes for m, nodes in inputs.window.items()}
    values = {m: own * stays[m].unsqueeze(-1) if m in stays else own for m, own in inputs.past.values.items()}
    mask = {m: own * stays[m] if m in stays else own for m, own in inputs.past.mask.items()}
    return inputs._replace(window=window, past=Past(values, mask, inputs.past.lag, inputs.past.same_speaker))


def _scaled(nodes: Nodes, stays: Tensor) -> Nodes:
    return Nodes(nodes.values * stays.unsqueeze(-1), nodes.times, nodes.mask * stays)
