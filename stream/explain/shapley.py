"""Exact Shapley values over the eight coalitions of text, audio and video.

With three players the model can score every coalition, so nothing is sampled (L. S. Shapley, "A value for n-person games", 1953):
phi_m = sum over S without m of |S|! (n - |S| - 1)! / n! * (v(S + m) - v(S)).
"""

from __future__ import annotations

from collections.abc import Collection
from math import factorial

from stream.domain.features import Floats
from stream.domain.inference import COALITIONS
from stream.domain.modality import MODALITIES, Modality

_PLAYERS = len(MODALITIES)
_WEIGHTS = [factorial(size) * factorial(_PLAYERS - size - 1) / factorial(_PLAYERS) for size in range(_PLAYERS)]
"""Weight of a coalition, by its size before the player joins."""

_JOINING = {
    m: [(_WEIGHTS[index.bit_count()], index | m.bit, index) for index in range(COALITIONS) if not index & m.bit] for m in MODALITIES
}
"""By modality: for each coalition without it, the weight, the index with the modality and the index without it."""


def coalition(modalities: Collection[Modality]) -> int:
    """Index of a set of modalities: the sum of their bits."""
    return sum({m.bit for m in modalities})


def restricted(scores: Floats, present: Collection[Modality]) -> tuple[float, ...]:
    """Coalition scores in which an absent modality changes nothing: v'(S) = v(S and present).

    So an absent modality contributes exactly 0, whatever the model makes of its empty input.

    Args:
        scores: (8,) score of every coalition, index = sum of bits.
        present: Modalities with content in the window.

    Returns:
        Eight scores in the same order.
    """
    mask = coalition(present)
    values = scores.tolist()
    return tuple(values[index & mask] for index in range(COALITIONS))


def shapley_values(scores: Floats | tuple[float, ...]) -> dict[Modality, float]:
    """Signed contribution of every modality in score points.

    Args:
        scores: (8,) score of every coalition, index = sum of bits.

    Returns:
        Contributions. The score of the empty coalition plus all of them is the score of the full coalition (efficiency).
    """
    worth = [float(score) for score in scores]
    return {m: sum([weight * (worth[joined] - worth[before]) for weight, joined, before in _JOINING[m]]) for m in MODALITIES}
