"""Randomised smoothing (Cohen et al., ICML 2019): the radius within which changes of features provably keep the smoothed answer.

    (1) g(x) = the more probable sign of the score at x + e, e ~ N(0, sigma^2 I)
    (2) p    = a lower bound, at confidence 1 - alpha, of that sign's probability (Clopper & Pearson, 1934)
    (3) R    = sigma Phi^{-1}(p) where p > 1/2, else no answer: within L2 distance R of x, g does not change

n_0 draws guess the sign, and n others bound its probability.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import lgamma
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from stream.domain.features import Floats

GUESSES, SAMPLES, ALPHA = 100, 1_000, 0.001
"""n_0, n and alpha."""

_BISECTIONS = 50


@dataclass(frozen=True, slots=True)
class Certificates:
    """Certificates of B windows: (B,) True for a positive smoothed sign, and (B,) radii R, 0 for no answer."""

    positive: Tensor
    radius: Floats


def certify(positive: Callable[[int, Tensor], Tensor], points: Tensor, sigma: float, generator: torch.Generator) -> Certificates:
    """Compute smoothed signs and their radii.

    Args:
        positive: From a window's index and (N, D) points near it to (N,) True for a positive score.
        points: (B, D) features of the windows.
        sigma: Standard deviation of the noise.
        generator: Random generator of the noise.
    """
    signs, radii = [], []
    for row, point in enumerate(points):
        noise = sigma * torch.randn(GUESSES + SAMPLES, point.shape[0], generator=generator)
        found = positive(row, point + noise)
        guess = bool(found[:GUESSES].float().mean() >= 0.5)
        signs.append(guess)
        radii.append(radius_of(int((found[GUESSES:] == guess).sum()), SAMPLES, sigma))
    return Certificates(torch.tensor(signs), np.array(radii, dtype=np.float32))


def radius_of(agreeing: int, draws: int, sigma: float) -> float:
    """Equation (3)."""
    chance = lower_bound(agreeing, draws, ALPHA)
    return sigma * NormalDist().inv_cdf(chance) if chance > 0.5 else 0.0


@lru_cache(maxsize=4_096)
def lower_bound(successes: int, draws: int, alpha: float) -> float:
    """The p at which `successes` or more have probability alpha: the exact one-sided bound of Clopper and Pearson, by bisection."""
    if successes == 0:
        return 0.0
    counts = np.arange(successes, draws + 1)
    ways = np.array([lgamma(draws + 1) - lgamma(k + 1) - lgamma(draws - k + 1) for k in counts])
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        tail = float(np.exp(ways + counts * np.log(middle) + (draws - counts) * np.log1p(-middle)).sum())
        low, high = (middle, high) if tail < alpha else (low, middle)
    return low


def curve(radius: Floats, correct: Floats, radii: tuple[float, ...]) -> dict[str, float]:
    """Certified accuracy at some radii: share of windows whose smoothed sign is right and certified up to the radius."""
    return {f"{at:g}": round(float(((radius > 0) & (radius >= at) & (correct > 0)).mean()), 4) for at in radii}
