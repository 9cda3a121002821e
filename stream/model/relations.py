"""The typed edges of a window's graph: who may send a message to whom.

Twelve relations, the streaming set of CORECT (EMNLP 2023) without its future ones: within each modality *past* and *now*,
and *same time* between each ordered pair of modalities. Nothing listens to the future.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stream.domain.modality import MODALITIES, Modality

PAST_S = 2.0
"""A past node is heard when it ended at most so long before the target began."""

SAME_TIME_TOLERANCE_S = 0.1
"""Nodes of two modalities are at the same time when their spans, widened by this much, overlap."""

TOUCH_S = 0.001
"""Spans of one modality that overlap by no more than this (rounding of their times) touch: one is the other's past."""

LEAST_SPAN_S = 0.01
"""A node without duration is taken to last so long, so that it overlaps itself."""


@dataclass(frozen=True, slots=True)
class Relation:
    """Messages from nodes of one modality to nodes of the same or another one."""

    source: Modality
    target: Modality
    when: Literal["past", "now"]

    @property
    def name(self) -> str:
        """For example ``text_past_text`` or ``audio_now_text``."""
        return f"{self.source}_{self.when}_{self.target}"

    @property
    def within(self) -> bool:
        """True for a relation inside one modality."""
        return self.source is self.target


RELATIONS: tuple[Relation, ...] = (
    *(Relation(modality, modality, "past") for modality in MODALITIES),
    *(Relation(modality, modality, "now") for modality in MODALITIES),
    *(Relation(source, target, "now") for target in MODALITIES for source in MODALITIES if source is not target),
)


def neighbours(relation: Relation, target_times: Tensor, source_times: Tensor, source_mask: Tensor) -> Tensor:
    """Who hears whom in one relation: N_r(i) of equation (3) as a 0/1 matrix.

    Args:
        relation: The relation r.
        target_times: (B, I, 2) start and end of the listening nodes, seconds.
        source_times: (B, J, 2) start and end of the sending nodes.
        source_mask: (B, J), 0 where there is no node.

    Returns:
        (B, I, J) float, 1 where node j sends to node i.
    """
    target_start, target_end = _spans(target_times, axis=2)
    source_start, source_end = _spans(source_times, axis=1)
    if relation.when == "past":
        gap = target_start - source_end
        heard = (gap >= -TOUCH_S) & (gap <= PAST_S)
    else:
        slack = -TOUCH_S if relation.within else SAME_TIME_TOLERANCE_S
        heard = (source_start < target_end + slack) & (target_start < source_end + slack)
    return heard.to(source_mask.dtype) * source_mask.unsqueeze(1)


def _spans(times: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    start, end = times[..., 0], times[..., 1]
    return start.unsqueeze(axis), torch.maximum(end, start + LEAST_SPAN_S).unsqueeze(axis)
