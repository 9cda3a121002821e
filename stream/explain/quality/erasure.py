"""Comprehensiveness, sufficiency and the curves of deletion and insertion, on the score in its own direction.

Nodes are ranked by their relevance in the direction of the score: the side of the score without any node on which the window's score lies.
With v(k) the score after the first k nodes are deleted, u(k) that of the first k nodes alone, and d the direction:

* comprehensiveness (DeYoung et al., ERASER, arXiv 1911.03429): mean over k of d (v(0) - v(k)); high if the nodes carry the score;
* sufficiency: minus the mean over k of max(0, d (v(0) - u(k))); high if few nodes suffice. What exceeds the score counts as the score
  (Carton et al., arXiv 2010.04736): a part cannot be more than sufficient;
* deletion and insertion: means over all k of d (v(k) - v(n)) and d (u(k) - u(0)) (Petsiuk et al., arXiv 1806.07421).

k runs to half of the nodes. A mean over windows would compare windows with different ranges. So comprehensiveness and sufficiency are put
between the greedy worst and the greedy best order of each window (after NAOPC, arXiv 2408.08137), sums over windows by sums over windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.explain.methods.perturbation import greedy_order
from stream.explain.methods.value import Doubles, Game, Order, Value


@dataclass(frozen=True, slots=True)
class Erased:
    """What deleting and keeping the nodes of one window in one order does, in score points.

    Attributes:
        comprehensiveness: As above.
        sufficiency: As above.
        overshooting: Sufficiency without the limit: what exceeds the score counts.
        deletion: Mean of the deletion curve, from the score without any node; lower is better.
        insertion: Mean of the insertion curve; higher is better.
    """

    comprehensiveness: float
    sufficiency: float
    overshooting: float
    deletion: float
    insertion: float


class Erasure:
    """Measures rankings of one window's nodes, and knows the greedy best and worst of them.

    Attributes:
        sign: 1.0 if the nodes together raise the score, else -1.0.
        span: How far they move it, in score points.
        most_comprehensive: What greedy deletion finds, and in `least_comprehensive` the opposite order.
        most_sufficient: What greedy insertion finds, and in `least_sufficient` the opposite order.
        deletion_order: (n,) the nodes as greedy deletion takes them.
        insertion_order: (n,) the nodes as greedy insertion adds them.
    """

    def __init__(self, inputs: WindowInputs, value: Value) -> None:
        self._game = game = Game(inputs, value)
        everything, nothing = game.ends()
        self._everything, self._nothing = everything, nothing
        self.sign = 1.0 if everything >= nothing else -1.0
        self.span = abs(everything - nothing)
        self.deletion_order = greedy_order(game, insertion=False, best=True)
        self.insertion_order = greedy_order(game, insertion=True, best=True)
        self.most_comprehensive = self.of_order(self.deletion_order)
        self.most_sufficient = self.of_order(self.insertion_order)
        half = -(-len(game) // 2)
        self.least_comprehensive = self.of_order(greedy_order(game, insertion=False, best=False, steps=half))
        self.least_sufficient = self.of_order(greedy_order(game, insertion=True, best=False, steps=half))

    def measure(self, relevance: Floats) -> Erased:
        """Measure (N,) relevance."""
        return self.of_order(ranking(relevance[self._game.nodes], self.sign))

    def relevance_of(self, order: Order) -> Floats:
        """(N,) numbers in the direction of the score that rank the nodes in the given order."""
        ranks = np.empty(len(order))
        ranks[order] = np.arange(len(order), 0, -1) / max(len(order), 1)
        return self._game.spread(self.sign * ranks)

    def of_order(self, order: Order) -> Erased:
        """Measure an order of the (n,) nodes."""
        count = len(order)
        position = np.empty(count, np.int64)
        position[order] = np.arange(count)
        first = position[None] < np.arange(count + 1)[:, None]
        without, alone = self.sign * self._game(~first), self.sign * self._game(first)
        score, half = self.sign * self._everything, slice(1, -(-count // 2) + 1)
        missing: Doubles = score - alone[half]
        return Erased(
            comprehensiveness=float(np.mean(score - without[half])),
            sufficiency=-float(np.mean(np.maximum(missing, 0.0))),
            overshooting=-float(np.mean(missing)),
            deletion=float(np.mean(without - self.sign * self._nothing)),
            insertion=float(np.mean(alone - self.sign * self._nothing)),
        )


def ranking(relevance: Floats, sign: float) -> Order:
    """(n,) nodes by their relevance in the direction of the score, highest first; equal ones in their order."""
    return np.argsort(-sign * relevance, kind="stable")


def comprehensiveness(windows: Sequence[Erasure], found: Sequence[Erased]) -> float:
    """Between 0, the greedy worst of all windows, and 1, the greedy best. A method can exceed the greedy search."""
    low = sum(window.least_comprehensive.comprehensiveness for window in windows)
    high = sum(window.most_comprehensive.comprehensiveness for window in windows)
    return (sum(one.comprehensiveness for one in found) - low) / (high - low)


def sufficiency(windows: Sequence[Erasure], found: Sequence[Erased]) -> float:
    """Between 0 and 1, as for `comprehensiveness`."""
    low = sum(window.least_sufficient.sufficiency for window in windows)
    high = sum(window.most_sufficient.sufficiency for window in windows)
    return (sum(one.sufficiency for one in found) - low) / (high - low)


def overshooting_sufficiency(windows: Sequence[Erasure], found: Sequence[Erased]) -> float:
    """Sufficiency between 0 and 1 where what exceeds the score counts."""
    low = sum(window.least_sufficient.overshooting for window in windows)
    high = sum(window.most_sufficient.overshooting for window in windows)
    return (sum(one.overshooting for one in found) - low) / (high - low)


def deletion_auc(windows: Sequence[Erasure], found: Sequence[Erased]) -> float:
    """Area under the deletion curve as a share of what the nodes move; lower is better."""
    return sum(one.deletion for one in found) / sum(window.span for window in windows)


def insertion_auc(windows: Sequence[Erasure], found: Sequence[Erased]) -> float:
    """Area under the insertion curve as a share of what the nodes move; higher is better."""
    return sum(one.insertion for one in found) / sum(window.span for window in windows)
