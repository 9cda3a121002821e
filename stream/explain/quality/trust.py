"""Which measures to trust, after MetaQuantus (Hedström et al., arXiv 2302.07265): a measure is measured before it counts.

It has to put an oracle first and random numbers last, and to fall as noise on a good explanation rises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.explain.methods.value import node_mask

NOISE_LEVELS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Standard deviations of the noise, relative to that of the relevance."""

ROUNDING = 1e-9
LEAST_ORDER = 0.8
MOST_RANDOM_WINS = 1 / 3
"""A measure counts if it keeps the order at least this well, and random numbers beat a good explanation in no more windows."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checks of one measure say.

    Attributes:
        trusted: Whether the measure counts.
        order: Kendall's tau between the levels of noise and the measure, 1.0 if every step of noise makes it worse.
        random_wins: Share of windows in which random numbers are better than the explanation without noise.
        oracle_first: Whether the oracle is at least as good as the explanation.
    """

    trusted: bool
    order: float
    random_wins: float
    oracle_first: bool


def judge(
    by_noise: Sequence[float],
    of_explanation: Sequence[float],
    of_random: Sequence[float],
    oracle: float,
    *,
    higher_is_better: bool = True,
    tolerance: float = ROUNDING,
) -> Verdict:
    """Judge a measure.

    Args:
        by_noise: The measure of the explanation at each of `NOISE_LEVELS`, over all windows.
        of_explanation: The measure of the explanation without noise, by window.
        of_random: The measure of random numbers, by window.
        oracle: The measure of the oracle over all windows, in the unit of `by_noise`.
        higher_is_better: False for a measure whose lower values are better.
        tolerance: By how much the explanation may exceed the oracle: a greedy search is not perfect.
    """
    better = 1.0 if higher_is_better else -1.0
    values = better * np.asarray(by_noise)
    tau = float(kendalltau(np.arange(len(values)), -values).statistic)
    order = 0.0 if np.isnan(tau) else tau
    wins = float(np.mean(better * np.asarray(of_random) > better * np.asarray(of_explanation)))
    oracle_first = bool(better * oracle >= values[0] - tolerance)
    random_last = bool(np.mean(better * np.asarray(of_random)) < np.mean(better * np.asarray(of_explanation)))
    trusted = order >= LEAST_ORDER - ROUNDING and wins <= MOST_RANDOM_WINS and oracle_first and random_last
    return Verdict(trusted, order, wins, oracle_first)


def noisy(relevance: Floats, inputs: WindowInputs, level: float, rng: np.random.Generator) -> Floats:
    """(N,) relevance with normal noise on its nodes."""
    mask = node_mask(inputs)
    spread = float(relevance[mask > 0].std()) if mask.any() else 0.0
    return (relevance + level * spread * rng.standard_normal(len(relevance)) * mask).astype(np.float32)


def gini(relevance: Floats) -> float:
    """How concentrated the relevance is, from 0 to 1 (Chalasani et al., arXiv 1810.06583). It says nothing of truth: the checks show it."""
    sizes = np.sort(np.abs(relevance))
    total = float(sizes.sum())
    if total == 0.0:
        return 0.0
    ranks = np.arange(1, len(sizes) + 1)
    return float(1.0 - 2.0 * np.sum(sizes / total * (len(sizes) - ranks + 0.5) / len(sizes)))


def rounded(verdicts: Mapping[str, Verdict]) -> dict[str, dict[str, bool | float]]:
    """Verdicts as plain values for JSON."""
    return {
        name: {
            "trusted": one.trusted,
            "order": round(one.order, 3),
            "random_wins": round(one.random_wins, 3),
            "oracle_first": one.oracle_first,
        }
        for name, one in verdicts.items()
    }
