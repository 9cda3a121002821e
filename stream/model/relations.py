"""The typed edges of a window's graph: who may send a message to whom.

Twelve relations inside a window, the streaming set of CORECT (EMNLP 2023) without its future ones: within each modality
*past* and *now*, and *same time* between each ordered pair of modalities. Six more reach the session's finished windows: each
modality's past windows of the same speaker and of the other speakers. Nothing listens to the future.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stream.domain.modality import MODALITIES, Modality
from stream.model.nodes import Past

PAST_S = 2.0
"""A past node is heard when it ended at most so long before the target began."""

SAME_TIME_TOLERANCE_S = 0.1
"""Nodes of two modalities are at the same time when their spans, widened by this much, overlap."""

TOUCH_S = 0.001
"""Spans of one modality that overlap by no more than this (rounding of their times) touch: one is the other's past."""

LEAST_SPAN_S = 0.01
"""A node without duration is taken to last so long, so that it overlaps itself."""


def past_of(modality: Modality) -> str:
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
        """True for a relation inside one modality."""
        return self.source is self.target

    @property
    def remembers(self) -> bool:
        """True where the senders are past windows and not nodes of the window itself."""
        return self.when in {"same_speaker", "other_speaker"}

    @property
    def sender(self) -> str:
        """Group of nodes that sends: a modality's nodes, or its past windows."""
        return past_of(self.source) if self.remembers else self.source


RELATIONS: tuple[Relation, ...] = (
    *(Relation(modality, modality, "past") for modality in MODALITIES),
    *(Relation(modality, modality, "now") for modality in MODALITIES),
    *(Relation(source, target, "now") for target in MODALITIES for source in MODALITIES if source is not target),
)

PAST_RELATIONS: tuple[Relation, ...] = (
    *(Relation(modality, modality, "same_speaker") for modality in MODALITIES),
    *(Relation(modality, modality, "other_speaker") for modality in MODALITIES),
)


def past_neighbours(relation: Relation, listeners: int, past: Past) -> Tensor:
    """Who hears which past window in one of `PAST_RELATIONS`.

    Args:
        relation: The relation r.
        listeners: Number I of listening nodes.
        past: K past windows.

    Returns:
        (B, I, K) float, 1 where past window j sends to node i: to every node, or to none.
    """
    speaker = past.same_speaker if relation.when == "same_speaker" else 1.0 - past.same_speaker
    return (speaker * past.mask[relation.source]).unsqueeze(1).expand(-1, listeners, -1)


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
