"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of windows.

    Attributes:
        explained: Windows that every method explains.
        fitted: Windows before them, for what is fitted: the learned combination, baselines and donors.
        noised: Windows that are explained again with noise and with other seeds.
        randomised: Windows that are explained with random weights.
        planted: Windows with planted marks.
        timed: Windows that are explained through the served graph, for the milliseconds.
        agreeing: Windows whose parts have one polarity.
    """

    explained: int
    fitted: int
    noised: int
    randomised: int
    planted: int
    timed: int
    agreeing: int


FULL = Sizes(explained=60, fitted=24, noised=5, randomised=5, planted=16, timed=5, agreeing=20)
QUICK = Sizes(explained=20, fitted=8, noised=3, randomised=3, planted=8, timed=3, agreeing=0)
