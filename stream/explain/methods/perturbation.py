"""Explainers that only ask the model for scores of windows without some of their nodes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.explain.methods.value import Doubles, Game, Kept, Order, Value


def occlusion(inputs: WindowInputs, value: Value) -> Floats:
    """Score minus the score without the node (Zeiler and Fergus, arXiv 1311.2901)."""
    game = Game(inputs, value)
    return game.spread(_without_each(game))


def leave_one_out(inputs: WindowInputs, value: Value) -> Floats:
    """Mean of two effects: of the node beside all others, and of the node alone."""
    game = Game(inputs, value)
    alone = game(np.eye(len(game), dtype=np.bool_)) - game.ends()[1]
    return game.spread((_without_each(game) + alone) / 2)


def _without_each(game: Game) -> Doubles:
    """(n,) score minus the score without each node."""
    return game.ends()[0] - game(~np.eye(len(game), dtype=np.bool_))


@dataclass(frozen=True, slots=True)
class RandomRelevance:
    """Numbers that know nothing of the model: what every explainer has to beat. They depend on the seed and on the window alone."""

    seed: int = 0

    def __call__(self, inputs: WindowInputs, value: Value) -> Floats:
        """(N,) standard normal numbers."""
        game = Game(inputs, value)
        digest = blake2b(inputs.words.tobytes() + inputs.audio.tobytes() + inputs.video.tobytes(), digest_size=8).digest()
        return game.spread(np.random.default_rng([self.seed, int.from_bytes(digest, "big")]).standard_normal(len(game)))


def greedy_deletion(inputs: WindowInputs, value: Value) -> Floats:
    """The order in which greedy deletion takes nodes away: in each step the one whose loss moves the score most towards that of nothing.

    The first node has the relevance 1, the last 1 / n, with the sign of the score's distance from that of nothing. It is an oracle for
    what deletes nodes: it tries n (n + 1) / 2 windows.
    """
    game = Game(inputs, value)
    return _ranked(game, greedy_order(game, insertion=False, best=True))


def greedy_insertion(inputs: WindowInputs, value: Value) -> Floats:
    """The order in which greedy insertion adds nodes: an oracle for what keeps few nodes; see `greedy_deletion`."""
    game = Game(inputs, value)
    return _ranked(game, greedy_order(game, insertion=True, best=True))


def _ranked(game: Game, order: Order) -> Floats:
    ranks = np.empty(len(game))
    ranks[order] = np.arange(len(game), 0, -1) / max(len(game), 1)
    return game.spread(ranks * direction(game))


def direction(game: Game) -> float:
    """1.0 if the nodes together raise the score, else -1.0."""
    everything, nothing = game.ends()
    return 1.0 if everything >= nothing else -1.0


def greedy_order(game: Game, *, insertion: bool, best: bool, steps: int | None = None) -> Order:
    """(n,) players in greedy order, from all nodes downwards or from none upwards; those that are left after the steps come last.

    Args:
        game: The window.
        insertion: Add nodes to nothing, instead of taking them away from everything.
        best: Take the node that serves the explanation most; else the one that serves it least.
        steps: Number of greedy steps; None for n.
    """
    wanted = direction(game) * (1.0 if insertion else -1.0) * (1.0 if best else -1.0)
    kept: Kept = np.full(len(game), not insertion)
    order: list[int] = []
    for _ in range(len(game) if steps is None else min(steps, len(game))):
        left = np.flatnonzero(kept != insertion)
        trials = np.repeat(kept[None], len(left), axis=0)
        trials[np.arange(len(left)), left] = insertion
        chosen = int(left[np.argmax(wanted * game(trials))])
        kept[chosen] = insertion
        order.append(chosen)
    return np.array([*order, *np.flatnonzero(kept != insertion)], np.int64)
