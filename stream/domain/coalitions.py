"""The coalitions of the game of which scores are explained: the players and the steps by which one of them joins the others.

The players are the modalities and the earlier windows of the session. Their Shapley values are means over all orders of arrival (L. S.
Shapley, "A value for n-person games", 1953): phi_m = sum over S without m of |S|! (n - |S| - 1)! / n! * (v(S + m) - v(S)).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import factorial
from typing import NamedTuple

from stream.domain.inference import COALITIONS, CONTEXT_BIT
from stream.domain.modality import MODALITIES

PLAYERS = (*(m.bit for m in MODALITIES), CONTEXT_BIT)
"""Bits of text, audio, video and the earlier windows."""


class Step(NamedTuple):
    """A player joins a coalition.

    Attributes:
        weight: Share of the orders of arrival that have this step.
        before: Index of the coalition without the player.
        joined: Index of the coalition with the player.
    """

    weight: float
    before: int
    joined: int


def _steps(bit: int) -> tuple[Step, ...]:
    count = len(PLAYERS)
    sizes = [factorial(size) * factorial(count - size - 1) / factorial(count) for size in range(count)]
    return tuple(Step(sizes[index.bit_count()], index, index | bit) for index in range(COALITIONS) if not index & bit)


STEPS: Mapping[int, tuple[Step, ...]] = {bit: _steps(bit) for bit in PLAYERS}
"""By the bit of a player: its steps, one for each coalition without it. Their weights add up to 1."""
