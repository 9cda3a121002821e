"""Exact Shapley values over the sixteen coalitions of text, audio, video and the earlier windows of the session.

With four players the model can score every coalition, so nothing is sampled. The formula is in `stream.domain.coalitions`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from stream.domain.coalitions import STEPS
from stream.domain.features import Floats
from stream.domain.inference import COALITIONS, CONTEXT_BIT
from stream.domain.modality import MODALITIES, Modality


class Contributions(NamedTuple):
    """Shapley values in score points.

    Attributes:
        modalities: Of every modality.
        earlier_windows: Of the earlier windows of the session.
    """

    modalities: dict[Modality, float]
    earlier_windows: float


def coalition(modalities: Collection[Modality]) -> int:
    """Index of a set of modalities: the sum of their bits."""
    return sum({m.bit for m in modalities})


def restricted(scores: Floats, present: Collection[Modality], *, has_context: bool) -> tuple[float, ...]:
    """Coalition scores in which an absent player changes nothing: v'(S) = v(S and present).

    So an absent modality contributes exactly 0, whatever the model makes of its empty input.

    Args:
        scores: (16,) score of every coalition, index = sum of bits.
        present: Modalities with content in the window.
        has_context: Whether the window has earlier windows.

    Returns:
        Sixteen scores in the same order.
    """
    mask = coalition(present) | (CONTEXT_BIT if has_context else 0)
    values = scores.tolist()
    return tuple(values[index & mask] for index in range(COALITIONS))


def shapley_values(scores: Floats | tuple[float, ...]) -> Contributions:
    """Signed contribution of every player in score points.

    Args:
        scores: (16,) score of every coalition, index = sum of bits.

    Returns:
        Contributions. The score of the empty coalition plus all of them is the score of the full coalition (efficiency).
    """
    worth = [float(score) for score in scores]
    values = {bit: sum([weight * (worth[joined] - worth[before]) for weight, before, joined in steps]) for bit, steps in STEPS.items()}
    return Contributions({m: values[m.bit] for m in MODALITIES}, values[CONTEXT_BIT])
