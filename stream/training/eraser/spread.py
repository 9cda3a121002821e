"""Artefacts in the spread of a block: rows that vary more, or less, about the mean where the artefact is present.

Such an artefact scales a block or some of its features, adds noise, or moves rows to both sides along a direction. It has no effect
on the mean, so neither the clusters of `sources` nor a projection sees it. In whitened features z of one block, with the covariances
S_1 and S_0 of the rows of either label, it stands out along common spatial patterns (Koles 1990):

    (10) S_1 v_j = l_j (S_0 + S_1) / 2 v_j,   q_j = v_j . z        variances l_j and 2 - l_j of q_j in the two labels
    (11) r(x) = 1/2 sum_{j in D} [q_j^2 (1 / (2 - l_j) - 1 / l_j) + log((2 - l_j) / l_j)]      log-likelihood ratio of two Gaussians

D holds the patterns with the most unequal variances: few where the artefact lies along a direction, all where it scales the block.
The direction in which the means of the labels lie apart is not looked at: there an honest block may well vary with the label.
The block contains an artefact if r, read out of fold, ranks rows of the two labels more often in the right order than the spread of
an honest block does. Then the spread is erased row by row, so that it need not come in two degrees, nor be read without errors:

    (12) q_b' = q_b exp(mean_i log |q_ib|) / |q_b|      b: bands of patterns of similar l_j, narrow where l_j is far from 1

What remains is in which direction a row lies from the mean, not how far. This costs the block's honest spread too, but only where an
artefact was found. Patterns in which next to nothing of one side of r varies are left out: there the other side shows the artefact
alone. What noise does to the directions of rows remains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.training.eraser.blocks import Labels

Doubles = npt.NDArray[np.float64]

MOST_HONEST_ORDER = 0.8
"""Share of pairs of unlike labels in the right order above which a spread is too good to be honest: honest blocks reach .72 (text)."""

ROWS_PER_COMPONENT = 3
"""Fewest: with 1.7 rows for each of the 766 components of two text nodes an honest block reaches .84, so such blocks are not looked at."""

PATTERNS_READ = (2, 8, None)
"""Sizes of D that are tried; None: all patterns."""

CLIP = 4.0
"""Limit of whitened features in fits and readings."""

SHRINKAGE = 0.1
"""Of covariances towards a multiple of the identity."""

SMALLEST_VARIANCE = 1e-6
"""Share of the largest variance below which a component of a block is not whitened."""

MOST_UNEQUAL = 50.0
"""Ratio of the two sides' variances, against its median over patterns, beyond which a pattern is left out."""

NEAREST = 1e-3
"""Share of the expected length below which a row's length in a band is left as it is: there is nothing to scale."""

FOLDS = 5
_SEED = 0


@dataclass(frozen=True, slots=True)
class Patterns:
    """Equation (10).

    Attributes:
        axes: (k, k) v_j in the columns.
        variances: (k,) l_j, ascending.
    """

    axes: Doubles
    variances: Doubles

    @classmethod
    def of(cls, white: Doubles, first: npt.NDArray[np.bool_]) -> Self:
        """Fit to (n, k) whitened features; `first` are the rows of label 1."""
        one, other = _covariance(white[first]), _covariance(white[~first])
        inverse = np.linalg.inv(np.linalg.cholesky((one + other) / 2))
        variances, axes = np.linalg.eigh(inverse @ one @ inverse.T)
        return cls(inverse.T @ axes, variances)

    def reading(self, white: Doubles, size: int | None) -> Doubles:
        """(n,) r of (11) from the `size` patterns with the most unequal variances; None: from all."""
        read = np.argsort(-np.abs(np.log(self.variances / (2 - self.variances))))[:size]
        one, other = self.variances[read], 2 - self.variances[read]
        squares = (white @ self.axes[:, read]) ** 2
        return np.asarray((squares * (1 / other - 1 / one) + np.log(other / one)).sum(axis=1) / 2)


@dataclass(frozen=True, slots=True)
class Spread:
    """An artefact in the spread of one block.

    Attributes:
        mean: (d,) mean of the block.
        inward: (d, k) from the centred block to whitened features z.
        apart: (k,) unit vector of z along which the labels lie apart.
        patterns: Equation (10).
        size: Number of patterns in D; None: all.
        cut: Value of r that divides the two sides best.
        kept: Patterns that are not left out, in the order of l_j.
        outward: (kept, d) from q' to the centred block.
        lengths: Expected length of each band, exp(mean log |q_b|).
    """

    mean: Doubles
    inward: Doubles
    apart: Doubles
    patterns: Patterns
    size: int | None
    cut: float
    kept: npt.NDArray[np.int64]
    outward: Doubles
    lengths: tuple[float, ...]

    def reading(self, block: Floats) -> Doubles:
        """(n,) r of (11) above the cut: positive where the artefact is more likely present than absent, or the other way round."""
        return self.patterns.reading(_looked_at(block, self.mean, self.inward, self.apart), self.size) - self.cut

    def __call__(self, block: Floats) -> Floats:
        """Apply equation (12)."""
        values = (block - self.mean) @ self.inward @ self.patterns.axes[:, self.kept]
        for band, length in zip(_bands(self.kept.size), self.lengths, strict=True):
            own = np.linalg.norm(values[:, band], axis=1, keepdims=True)
            values[:, band] *= np.where(own > NEAREST * length, length / np.maximum(own, NEAREST * length), 1.0)
        return np.asarray(self.mean + values @ self.outward, dtype=np.float32)


def find_spread(block: Floats, labels: Labels) -> Spread | None:
    """Find an artefact in the spread of a block of training rows; None if there is none, or if there are too few rows to tell.

    Args:
        block: (n, d) features.
        labels: (n,) labels, 0 or 1.
    """
    mean, inward, outward = _whitening(block)
    if labels.size < ROWS_PER_COMPONENT * inward.shape[1]:
        return None
    apart = _apart(_clipped((block - mean) @ inward), labels)
    white = _looked_at(block, mean, inward, apart)
    readings = _out_of_fold(white, labels)
    size = max(readings, key=lambda chosen: right_order(readings[chosen], labels))
    if right_order(readings[size], labels) <= MOST_HONEST_ORDER:
        return None
    cut = _best_cut(readings[size], labels)
    first = readings[size] > cut
    patterns = Patterns.of(white, labels > 0)
    values = white @ patterns.axes
    ratios = np.log(values[first].var(axis=0) / values[~first].var(axis=0))
    kept = np.flatnonzero(np.abs(ratios - np.median(ratios)) < np.log(MOST_UNEQUAL))
    values = (block - mean) @ inward @ patterns.axes[:, kept]
    norms = [np.linalg.norm(values[:, band], axis=1) for band in _bands(kept.size)]
    lengths = tuple(float(np.exp(np.log(np.maximum(own, NEAREST * np.median(own))).mean())) for own in norms)
    return Spread(mean, inward, apart, patterns, size, cut, kept, np.linalg.inv(patterns.axes)[kept] @ outward, lengths)


def right_order(values: npt.NDArray[np.floating[Any]], labels: Labels) -> float:
    """Share of the pairs of unlike labels in which the row of label 1 has the larger value: the area under the ROC curve."""
    ranks = np.argsort(np.argsort(values))
    positive = int(labels.sum())
    return float((ranks[labels == 1].sum() - positive * (positive - 1) / 2) / (positive * (labels.size - positive)))


def _best_cut(values: Doubles, labels: Labels) -> float:
    """The value above which most rows have label 1 and below which most have label 0."""
    order = np.argsort(values)
    below = int(np.cumsum(1 - 2 * labels[order])[:-1].argmax())
    return float(values[order][below : below + 2].mean())


def _bands(patterns: int) -> list[npt.NDArray[np.int64]]:
    """Patterns in the order of l_j in bands of neighbours, narrow at both ends."""
    rest, size = np.arange(patterns), 1
    found = []
    while rest.size:
        found += [band for band in (rest[:size], rest[size:][-size:]) if band.size]
        rest, size = rest[size:-size], 2 * size
    return found


def _out_of_fold(white: Doubles, labels: Labels) -> dict[int | None, Doubles]:
    """By number of patterns, (n,) r of each row from the patterns of the other folds."""
    fold = np.random.default_rng(_SEED).permutation(labels.size) % FOLDS
    found: dict[int | None, Doubles] = {size: np.empty(labels.size) for size in PATTERNS_READ}
    for k in range(FOLDS):
        patterns = Patterns.of(white[fold != k], labels[fold != k] > 0)
        for size, values in found.items():
            values[fold == k] = patterns.reading(white[fold == k], size)
    return found


def _whitening(block: Floats) -> tuple[Doubles, Doubles, Doubles]:
    """Mean of a block, and the maps to its whitened principal components and back."""
    mean = block.mean(axis=0, dtype=np.float64)
    centred = block - mean
    variances, axes = np.linalg.eigh(centred.T @ centred / block.shape[0])
    kept = variances > SMALLEST_VARIANCE * variances[-1]
    scale, axes = np.sqrt(variances[kept]), axes[:, kept]
    return mean, axes / scale, (axes * scale).T


def _covariance(white: Doubles) -> Doubles:
    centred = white - white.mean(axis=0)
    covariance = centred.T @ centred / white.shape[0]
    width = white.shape[1]
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * float(np.trace(covariance)) / width * np.eye(width)
    return np.asarray(shrunk)


def _apart(white: Doubles, labels: Labels) -> Doubles:
    """(k,) unit vector of the linear discriminant of the labels."""
    means = np.stack([white[labels == label].mean(axis=0) for label in (0, 1)])
    direction = np.linalg.solve(_covariance(white - means[labels]), means[1] - means[0])
    return np.asarray(direction / np.linalg.norm(direction))


def _looked_at(block: Floats, mean: Doubles, inward: Doubles, apart: Doubles) -> Doubles:
    """(n, k) clipped whitened features without the direction in which the labels lie apart."""
    white = _clipped((block - mean) @ inward)
    return np.asarray(white - np.outer(white @ apart, apart))


def _clipped(white: Doubles) -> Doubles:
    return np.clip(white, -CLIP, CLIP)
