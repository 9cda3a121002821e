"""Two-point sources: directions along which features fall into two heaps, found without labels.

A mark that is either there or not leaves the rows in two heaps along one direction. Among the unit-variance projections t = w.z of
whitened features z, two equal heaps have the largest mean |t| that there is (1 with nothing between the heaps, .80 for a Gaussian, less
with heavy tails), so that direction maximises

    (4) J(w) = mean_i |w.z_i|,  ||w|| = 1            by the fixed point  w <- mean_i sign(w.z_i) z_i, normalised: it never lowers J

from many random starts. Features are clipped, and whitened within their leading principal components: with as many components as a
tenth of the rows every sample shows heaps that are not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats

Signs = npt.NDArray[np.float32]
"""(n,) of -1 and 1."""

STARTS, STARTS_WITHIN = 80, 200
_STEPS = 30


def whitened(features: Floats, components: int) -> Floats:
    """(n, k) uncorrelated, unit variance: the leading principal components of (n, d) features; fewer columns are fewer components."""
    centred = (features - features.mean(axis=0)).astype(np.float64)
    variances, axes = np.linalg.eigh(centred.T @ centred / features.shape[0])
    rank = int((variances > 1e-8 * variances[-1]).sum())
    kept = slice(-1, -1 - min(components, rank), -1)
    return np.asarray(centred @ axes[:, kept] / np.sqrt(variances[kept]), dtype=np.float32)


def whitened_within(features: Floats, clusters: Signs, components: int) -> Floats:
    """Likewise of what the two clusters' means leave over."""
    centred = features.astype(np.float32)
    for side in (-1, 1):
        centred[clusters == side] -= centred[clusters == side].mean(axis=0)
    return whitened(centred, components)


def heaps(white: Floats, most: int, seed: int) -> Iterator[tuple[float, Signs]]:
    """J and side of each row for the sharpest directions of (n, k) whitened features, each uncorrelated with those before."""
    rng = np.random.default_rng(seed)
    found = np.zeros((0, white.shape[1]), dtype=np.float32)
    for _ in range(most):
        weights = rng.standard_normal((STARTS, white.shape[1])).astype(np.float32)
        for _ in range(_STEPS):
            weights = _unit(weights - weights @ found.T @ found)
            weights = np.sign(weights @ white.T) @ white
        weights = _unit(weights - weights @ found.T @ found)
        sharpness = np.abs(weights @ white.T).mean(axis=1)
        best = weights[sharpness.argmax()]
        found = np.vstack([found, best])
        yield float(sharpness.max()), sides(white @ best)


def sides(values: Floats) -> Signs:
    """Which of two heaps each value is in: the cut that leaves the least variance within (2-means, exact in one dimension)."""
    ordered = np.sort(values.astype(np.float64))
    below = np.arange(1, ordered.shape[0])
    sums = np.cumsum(ordered)
    gap = sums[:-1] / below - (sums[-1] - sums[:-1]) / below[::-1]
    cut = int((below * below[::-1] * gap**2).argmax())
    return np.where(values > (ordered[cut] + ordered[cut + 1]) / 2, 1.0, -1.0).astype(np.float32)


def separation(features: Floats, found: Signs) -> float:
    """Distance between the heaps' means of (n, d) features in standard deviations within them along that line (Ashman's D)."""
    line = features[found > 0].mean(axis=0) - features[found < 0].mean(axis=0)
    values = features @ line / np.linalg.norm(line)
    upper, lower = values[found > 0], values[found < 0]
    return float((upper.mean() - lower.mean()) / np.sqrt((upper.var() + lower.var()) / 2))


def heaps_within(white: Floats, clusters: Signs, seed: int) -> Iterator[tuple[float, Signs]]:
    """Two-point sources of (n, k) features whitened within the two clusters: one direction for both, a threshold for each.

    The fixed point is that of (4) with the side's deviation from its mean in the cluster in the place of the sign, so that heaps of
    unequal size, in unequal shares of the two clusters, are found too.

    Yields:
        Share of the direction's variance within clusters that its two heaps explain, and the side of each row; best first.
    """
    members = [np.flatnonzero(clusters == side) for side in (-1, 1)]
    weights = _unit(np.random.default_rng(seed).standard_normal((STARTS_WITHIN, white.shape[1])).astype(np.float32))
    cuts = np.zeros((2, STARTS_WITHIN), dtype=np.float32)
    for _ in range(_STEPS):
        weights = _unit(_deviations(weights @ white.T, members, cuts) @ white)
    values = weights @ white.T
    deviations = _deviations(values, members, cuts)
    explained = (values * deviations).mean(axis=1) ** 2 / np.maximum((deviations**2).mean(axis=1) * (values**2).mean(axis=1), 1e-9)
    kept: list[int] = []
    for index in np.argsort(-explained):
        if all(abs(float(weights[index] @ weights[other])) < 0.7 for other in kept):
            kept.append(int(index))
            yield float(explained[index]), np.where(deviations[index] > 0, 1.0, -1.0).astype(np.float32)


def _deviations(values: Floats, members: list[npt.NDArray[np.int64]], cuts: Floats) -> Floats:
    """(starts, n) side (0 or 1) minus its mean in the cluster; moves `cuts` (2, starts) two steps of 2-means on."""
    deviations = np.empty_like(values)
    for cluster, rows in enumerate(members):
        inside = values[:, rows]
        total, size = inside.sum(axis=1), inside.shape[1]
        for _ in range(2):
            upper = inside > cuts[cluster][:, None]
            count = np.clip(upper.sum(axis=1), 1, size - 1)
            high = (inside * upper).sum(axis=1)
            cuts[cluster] = (high / count + (total - high) / (size - count)) / 2
        upper = (inside > cuts[cluster][:, None]).astype(np.float32)
        deviations[:, rows] = upper - upper.mean(axis=1, keepdims=True)
    return deviations


def _unit(weights: npt.NDArray[np.floating[Any]]) -> Floats:
    return np.asarray(weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-9), dtype=np.float32)
