"""The typed edges of a window's graph: which node sends a message to which.

Twelve relations are inside a window. They are those of CORECT (EMNLP 2023) without the ones from the future: *past* and *now*
within each modality, and *same time* for each ordered pair of modalities. Six more come from the finished windows of the
session: for each modality, its past windows of the same speaker and of other speakers. No edge comes from the future.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stream.domain.modality import MODALITIES, Modality
from stream.model.nodes import Past

PAST_S = 2.0
"""Longest gap, in seconds, between the end of a past node and the start of a node that receives from it."""

SAME_TIME_TOLERANCE_S = 0.1
"""Nodes of two modalities are at the same time if their spans, widened by this tolerance, overlap."""

TOUCH_S = 0.001
"""Spans of one modality that overlap by no more than this touch: the earlier one is in the past.

Neighbouring segments share an edge, and rounding of their times can make them overlap by a little.
"""

LEAST_SPAN_S = 0.01
"""Duration that a node without one gets, so that it overlaps itself."""


def past_group(modality: Modality) -> str:
    """Name of the group of a modality's past windows, for example ``text_past``."""
    return f"{modality}_past"


@dataclass(frozen=True, slots=True)
class Relation:
    """Messages from nodes of one modality to nodes of the same or another one."""

    source: Modality
    target: Modality
    when: Literal["past", "now", "same_speaker", "other_speaker"]

    @property
    def name(self) -> str:
        """For example ``text_past_text`` or ``audio_now_text``."""
        return f"{self.source}_{self.when}_{self.target}"

    @property
    def within(self) -> bool:
        """Whether source and target are of the same modality."""
        return self.source is self.target

    @property
    def from_past(self) -> bool:
        """Whether past windows send, instead of nodes of the window itself."""
        return self.when in {"same_speaker", "other_speaker"}

    @property
    def sender(self) -> str:
        """Group of the sending nodes: those of a modality, or its past windows."""
        return past_group(self.source) if self.from_past else self.source


RELATIONS: tuple[Relation, ...] = (
    *(Relation(modality, modality, "past") for modality in MODALITIES),
    *(Relation(modality, modality, "now") for modality in MODALITIES),
    *(Relation(source, target, "now") for target in MODALITIES for source in MODALITIES if source is not target),
)

PAST_RELATIONS: tuple[Relation, ...] = (
    *(Relation(modality, modality, "same_speaker") for modality in MODALITIES),
    *(Relation(modality, modality, "other_speaker") for modality in MODALITIES),
)


def past_neighbours(relation: Relation, targets: int, past: Past) -> Tensor:
    """Edges from past windows in one of `PAST_RELATIONS`.

    Args:
        relation: The relation r.
        targets: Number I of receiving nodes.
        past: K past windows.

    Returns:
        (B, I, K) float, 1 where past window j sends to node i. A past window sends to every node or to none.
    """
    speaker = past.same_speaker if relation.when == "same_speaker" else 1.0 - past.same_speaker
    return (speaker * past.mask[relation.source]).unsqueeze(1).expand(-1, targets, -1)


def neighbours(relation: Relation, target_times: Tensor, source_times: Tensor, source_mask: Tensor) -> Tensor:
    """Edges of one relation inside the window: N_r(i) of equation (3) as a 0/1 matrix.

    Args:
        relation: The relation r.
        target_times: (B, I, 2) start and end of the receiving nodes, in seconds.
        source_times: (B, J, 2) start and end of the sending nodes, in seconds.
        source_mask: (B, J), 0 where there is no node.

    Returns:
        (B, I, J) float, 1 where node j sends to node i.
    """
    target_start, target_end = _spans(target_times, axis=2)
    source_start, source_end = _spans(source_times, axis=1)
    if relation.when == "past":
        gap = target_start - source_end
        sends = (gap >= -TOUCH_S) & (gap <= PAST_S)
    else:
        slack = -TOUCH_S if relation.within else SAME_TIME_TOLERANCE_S
        sends = (source_start < target_end + slack) & (target_start < source_end + slack)
    return sends.to(source_mask.dtype) * source_mask.unsqueeze(1)


def _spans(times: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    start, end = times[..., 0], times[..., 1]
    return start.unsqueeze(axis), torch.maximum(end, start + LEAST_SPAN_S).unsqueeze(axis)
