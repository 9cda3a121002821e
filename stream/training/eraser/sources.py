"""Two-point sources: directions along which features form two clusters, found without labels.

An artefact that is either present or absent splits the rows into two clusters along one direction. Among all projections
t = w.z of whitened features z, which have unit variance, two equal clusters have the largest possible mean |t|: 1 with nothing
between the clusters, against .80 for a Gaussian and less for heavy tails. So the direction maximises

    (4) J(w) = mean_i |w.z_i|,  ||w|| = 1      with the fixed point  w <- mean_i sign(w.z_i) z_i, normalised, which never lowers J

from many random starts. Features are clipped, because outliers would pass for a cluster. They are whitened within their leading
principal components only: with as many components as a tenth of the rows, every sample shows clusters by chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats

Signs = npt.NDArray[np.float32]
"""(n,) signs, -1 or 1: the cluster of each row."""

STARTS, STARTS_WITHIN = 80, 200
"""Random starts of the two searches."""

_STEPS = 30


def whitened(features: Floats, components: int) -> Floats:
    """The leading principal components of (n, d) features with unit variance: (n, k), k at most `components` and the rank."""
    centred = (features - features.mean(axis=0)).astype(np.float64)
    variances, axes = np.linalg.eigh(centred.T @ centred / features.shape[0])
    rank = int((variances > 1e-8 * variances[-1]).sum())
    kept = slice(-1, -1 - min(components, rank), -1)
    return np.asarray(centred @ axes[:, kept] / np.sqrt(variances[kept]), dtype=np.float32)


def whitened_within(features: Floats, groups: Signs, components: int) -> Floats:
    """`whitened` features after the mean of each of the two groups is subtracted."""
    centred = features.astype(np.float32)
    for side in (-1, 1):
        centred[groups == side] -= centred[groups == side].mean(axis=0)
    return whitened(centred, components)


def clusters(white: Floats, most: int, seed: int) -> Iterator[tuple[float, Signs]]:
    """Find the sharpest two-cluster directions of (n, k) whitened features, each uncorrelated with those before.

    Yields:
        J of equation (4), and the cluster of each row; at most `most` directions.
    """
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
    """Split values at the cut with the least variance within the two sides: 2-means, which is exact in one dimension."""
    ordered = np.sort(values.astype(np.float64))
    below = np.arange(1, ordered.shape[0])
    sums = np.cumsum(ordered)
    gap = sums[:-1] / below - (sums[-1] - sums[:-1]) / below[::-1]
    cut = int((below * below[::-1] * gap**2).argmax())
    return np.where(values > (ordered[cut] + ordered[cut + 1]) / 2, 1.0, -1.0).astype(np.float32)


def separation(features: Floats, found: Signs) -> float:
    """Distance of the two clusters' means, in standard deviations within the clusters along that line (Ashman's D)."""
    line = features[found > 0].mean(axis=0) - features[found < 0].mean(axis=0)
    values = features @ line / np.linalg.norm(line)
    upper, lower = values[found > 0], values[found < 0]
    return float((upper.mean() - lower.mean()) / np.sqrt((upper.var() + lower.var()) / 2))


def clusters_within(white: Floats, groups: Signs, seed: int) -> Iterator[tuple[float, Signs]]:
    """Find two-point sources of (n, k) features whitened within two groups: one direction for both, a threshold for each.

    The fixed point is that of (4) with the deviation of the side from its mean in the group in place of the sign. So it also
    finds clusters of unequal size whose shares differ between the groups.

    Yields:
        Share of the direction's variance within the groups that its two clusters explain, and the cluster of each row; best first.
    """
    members = [np.flatnonzero(groups == side) for side in (-1, 1)]
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
    """(starts, n) side (0 or 1) minus its mean in the group; moves the (2, starts) `cuts` by two steps of 2-means."""
    deviations = np.empty_like(values)
    for group, rows in enumerate(members):
        inside = values[:, rows]
        total, size = inside.sum(axis=1), inside.shape[1]
        for _ in range(2):
            upper = inside > cuts[group][:, None]
            count = np.clip(upper.sum(axis=1), 1, size - 1)
            high = (inside * upper).sum(axis=1)
            cuts[group] = (high / count + (total - high) / (size - count)) / 2
        upper = (inside > cuts[group][:, None]).astype(np.float32)
        deviations[:, rows] = upper - upper.mean(axis=1, keepdims=True)
    return deviations


def _unit(weights: npt.NDArray[np.floating[Any]]) -> Floats:
    return np.asarray(weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-9), dtype=np.float32)
