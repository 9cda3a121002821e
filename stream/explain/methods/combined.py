"""An explainer made of other explainers: a non-linear combination that is learned on other windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.explain.methods.errors import ExplainerMissingError
from stream.explain.methods.perturbation import direction, greedy_deletion, greedy_insertion
from stream.explain.methods.value import Doubles, Explainer, Game, Value


def unit_mass(relevance: Floats) -> Floats:
    """Relevance with sum |r| = 1, so that methods with different units can be added; zeros stay."""
    mass = float(np.abs(relevance).sum())
    return relevance / mass if mass > 0 else relevance


@dataclass(frozen=True, slots=True)
class Combiner:
    """Gradient-boosted trees that read what several explainers say of a node, and how often the window has nodes, and rank it.

    They are fitted to the mean of the two greedy orders. So they are no method of their own: they learn what the oracles would say.

    Attributes:
        members: The explainers, which must be those that it was fitted with.
        trees: The fitted regression.
    """

    members: Mapping[str, Explainer]
    trees: Any

    @classmethod
    def fitted(cls, members: Mapping[str, Explainer], windows: Sequence[WindowInputs], value: Value, seed: int = 0) -> Combiner:
        """Fit the trees on windows that are not explained later. Raises `ExplainerMissingError` without ``scikit-learn``."""
        try:
            from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - heavy, and only in the extra
        except ImportError:
            raise ExplainerMissingError("scikit-learn") from None
        rows, wanted = [], []
        for inputs in windows:
            game = Game(inputs, value)
            rows.append(_features(members, inputs, value, game))
            oracle = (greedy_deletion(inputs, value) + greedy_insertion(inputs, value)) / 2
            wanted.append(direction(game) * oracle[game.nodes])
        trees = HistGradientBoostingRegressor(max_iter=100, learning_rate=0.08, min_samples_leaf=20, random_state=seed)
        return cls(members, trees.fit(np.concatenate(rows), np.concatenate(wanted)))

    def __call__(self, inputs: WindowInputs, value: Value) -> Floats:
        """(N,) relevance: the rank that the trees expect, above their mean, in the direction of the score."""
        game = Game(inputs, value)
        if not len(game):
            return game.spread(np.zeros(0))
        expected = self.trees.predict(_features(self.members, inputs, value, game))
        return game.spread(direction(game) * (expected - expected.mean()))


def _features(members: Mapping[str, Explainer], inputs: WindowInputs, value: Value, game: Game) -> Doubles:
    """(n, 2 members + 1) relevance in the direction of the score, with unit mass and as a rank, and the number of nodes."""
    sign = direction(game)
    columns = []
    for member in members.values():
        own = sign * unit_mass(member(inputs, value))[game.nodes].astype(np.float64)
        columns += [own, own.argsort(kind="stable").argsort(kind="stable") / max(len(game), 1)]
    return np.stack([*columns, np.full(len(game), float(len(game)))], axis=1)
