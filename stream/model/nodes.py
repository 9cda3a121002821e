"""The nodes of a window's graph, as tensors.

B is the number of windows, N_m the number of nodes of modality m in a window (words, voice segments of 100 ms, video frames), and
K the number of past windows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from stream.domain.modality import MODALITIES, Modality


class Nodes(NamedTuple):
    """The nodes of one modality of a batch of windows.

    Attributes:
        values: (B, N_m, width) encoder outputs.
        times: (B, N_m, 2) start and end, in seconds.
        mask: (B, N_m), 0 where there is no node.
    """

    values: Tensor
    times: Tensor
    mask: Tensor


Window = dict[Modality, Nodes]


class Past(NamedTuple):
    """The context of each window: the mean features of K finished windows of its session.

    Attributes:
        values: By modality, (B, K, width).
        mask: By modality, (B, K), 0 where there is no past window or it lacks the modality.
        lag: (B, K) int64, how many windows ago, from 1. Negative for later windows, which only an offline model may see.
        same_speaker: (B, K), 1 where the past window has the speaker of the window itself.
    """

    values: dict[Modality, Tensor]
    mask: dict[Modality, Tensor]
    lag: Tensor
    same_speaker: Tensor


def no_past(window: Window) -> Past:
    """The empty context, K = 0, for a batch of windows."""
    values = {m: nodes.values.new_zeros(nodes.values.shape[0], 0, nodes.values.shape[2]) for m, nodes in window.items()}
    empty = next(iter(values.values())).new_zeros(next(iter(values.values())).shape[0], 0)
    return Past(values, dict.fromkeys(MODALITIES, empty), empty.long(), empty)


def node_sum(values: Tensor) -> Tensor:
    """(B, I, N) to (B, I): sums over nodes that are the same to the bit whatever else is in the batch.

    Replays share a request with other windows than before, and must publish the same. ONNX Runtime splits a plain sum where the memory of
    its row is aligned, which depends on the rows before; a product of matrices it does not.
    """
    return (values @ torch.ones_like(values[:, :1]).transpose(1, 2))[..., 0]
