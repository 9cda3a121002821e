"""What a mark adds to a block of features, told apart from what the label adds.

A mark that nearly always agrees with the label cannot be told from it by regression: at p = .99 a dozen rows in a thousand disagree.
The model says what is different about the two instead. In the eigenbasis of the covariance that marks, labels and covariates leave over
(variances l_j), a row's coordinate is

    (5) x_j = a_j s + g_j y + c_j . h + e,   e ~ N(0, l_j),   a_j ~ N(0, tau / d),   g_j ~ N(0, kappa l_j / d)

with the mark s, the label y (both +-1) and covariates h: a mark has no reason to lie along the directions in which speech or faces vary,
what is genuine has. Least squares on [s, y, h] gives (a_j, g_j) with covariance l_j G, so that

    (6) (a^_j, g^_j) ~ N(0, M_j),   M_j = l_j G + diag(tau / d, kappa l_j / d),   E[a_j | data] = tau / d [M_j^-1 (a^_j, g^_j)]_1

tau and kappa are averaged over a grid with the likelihood (6) and the prior exp(-kappa / `LABEL_EFFECT`) as weights. A block that holds
nothing of the mark gets tau = 0, so the place of a mark need not be known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.domain.features import Floats
from stream.training.eraser.rows import Labels
from stream.training.eraser.sources import Signs

LABEL_EFFECT = 0.3
"""Prior mean of kappa: squared distance of the label's two means from their middle, in units of the variance left over."""

MARK_GRID = np.concatenate([[0.0], np.geomspace(0.05, 40.0, 20)])
LABEL_GRID = np.concatenate([[0.0], np.geomspace(0.05, 2.0, 14)])
"""Up to 2, with which the label alone would be told right in 92 %: more than any honest block of sentiment does."""
_SMALLEST_VARIANCE, _SINGULAR = 1e-3, 1e-3


def effect_of_mark(block: Floats, mark: Signs, labels: Labels, covariates: Sequence[Signs]) -> Floats:
    """(d,) posterior mean of a, equation (6), for the (n, d) features of one block."""
    rows, width = block.shape
    design = np.stack([mark, 2.0 * labels - 1.0, *covariates], axis=1).astype(np.float64)
    design -= design.mean(axis=0)
    centred = block.astype(np.float64) - block.mean(axis=0)
    inverse = np.linalg.inv(design.T @ design + _SINGULAR * np.eye(design.shape[1]))
    coefficients = inverse @ design.T @ centred
    left = centred - design @ coefficients
    variances, basis = np.linalg.eigh(left.T @ left / rows)
    variances = np.maximum(variances, _SMALLEST_VARIANCE * variances.mean())
    return np.asarray(basis @ _posterior((coefficients[:2] @ basis), variances, inverse[:2, :2], width), dtype=np.float32)


def _posterior(estimates: Floats, variances: Floats, inverse: Floats, width: int) -> Floats:
    """(d,) posterior means in the eigenbasis from (2, d) estimates of mark and label."""
    mark, label = estimates
    taus, kappas = MARK_GRID / width, LABEL_GRID / width
    evidence = np.empty((taus.size, kappas.size))
    means = np.empty((taus.size, kappas.size, variances.size))
    between = variances * inverse[0, 1]
    for i, tau in enumerate(taus):
        of_mark = variances * inverse[0, 0] + tau
        for j, kappa in enumerate(kappas):
            of_label = variances * (inverse[1, 1] + kappa)
            determinant = of_mark * of_label - between**2
            distance = (of_label * mark**2 - 2 * between * mark * label + of_mark * label**2) / determinant
            evidence[i, j] = -0.5 * float((np.log(determinant) + distance).sum()) - LABEL_GRID[j] / LABEL_EFFECT
            means[i, j] = tau * (of_label * mark - between * label) / determinant
    weights = np.exp(evidence - evidence.max())
    return np.asarray(np.einsum("ij,ijd->d", weights / weights.sum(), means))
