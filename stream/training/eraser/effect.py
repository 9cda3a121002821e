"""The effect of a mark on a block of features, separated from the effect of the label.

A mark is the presence or absence of an artefact. Regression cannot separate a mark from a label with which it nearly always
agrees: at p = .99 only a dozen rows in a thousand disagree. A prior separates them instead. In the eigenbasis of the residual
covariance, with variances l_j, a coordinate of a row is

    (5) x_j = a_j s + g_j y + c_j . h + e,   e ~ N(0, l_j),   a_j ~ N(0, tau / d),   g_j ~ N(0, kappa l_j / d)

with the mark s, the label y (both +-1) and covariates h. A genuine effect lies along the directions in which speech or faces
vary; the effect of a mark has no reason to. Least squares on [s, y, h] gives (a_j, g_j) with covariance l_j G, so that

    (6) (a^_j, g^_j) ~ N(0, M_j),   M_j = l_j G + diag(tau / d, kappa l_j / d),   E[a_j | data] = tau / d [M_j^-1 (a^_j, g^_j)]_1

tau and kappa are averaged over a grid, with the likelihood (6) and the prior exp(-kappa / `LABEL_EFFECT`) as weights. A block
without the mark gets tau = 0, so the modality of the mark need not be known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.domain.features import Floats
from stream.training.eraser.blocks import Labels
from stream.training.eraser.sources import Signs

LABEL_EFFECT = 0.3
"""Prior mean of kappa: squared distance of the label's two means from their midpoint, in units of the residual variance."""

MARK_GRID = np.concatenate([[0.0], np.geomspace(0.05, 40.0, 20)])
LABEL_GRID = np.concatenate([[0.0], np.geomspace(0.05, 2.0, 14)])
"""Its largest value, 2, would let a classifier predict the label in 92 % of the rows: more than any honest block of sentiment."""

_SMALLEST_VARIANCE = 1e-3
"""Floor of the residual variances, as a share of their mean: determinants of (6) would vanish."""

_RIDGE = 1e-3
"""Added to the diagonal of the normal equations, which are singular where the mark equals the label."""


def effect_of_mark(block: Floats, mark: Signs, labels: Labels, covariates: Sequence[Signs]) -> Floats:
    """Estimate the effect of a mark on one block: (d,) posterior mean of a, equation (6).

    Args:
        block: (n, d) features.
        mark: (n,) sign s of each row.
        labels: (n,) labels, 0 or 1.
        covariates: (n,) signs h of other sources.
    """
    rows, width = block.shape
    design = np.stack([mark, 2.0 * labels - 1.0, *covariates], axis=1).astype(np.float64)
    design -= design.mean(axis=0)
    centred = block.astype(np.float64) - block.mean(axis=0)
    inverse = np.linalg.inv(design.T @ design + _RIDGE * np.eye(design.shape[1]))
    coefficients = inverse @ design.T @ centred
    residual = centred - design @ coefficients
    variances, basis = np.linalg.eigh(residual.T @ residual / rows)
    variances = np.maximum(variances, _SMALLEST_VARIANCE * variances.mean())
    return np.asarray(basis @ _posterior((coefficients[:2] @ basis), variances, inverse[:2, :2], width), dtype=np.float32)


def _posterior(estimates: Floats, variances: Floats, inverse: Floats, width: int) -> Floats:
    """(d,) posterior means in the eigenbasis, from the (2, d) least-squares estimates for mark and label."""
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
    # The maximum is subtracted because the evidence is a sum over all coordinates, whose exponential underflows.
    weights = np.exp(evidence - evidence.max())
    return np.asarray(np.einsum("ij,ijd->d", weights / weights.sum(), means))
