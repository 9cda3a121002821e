"""Paired bootstrap intervals: whole videos or dialogues are resampled, with the same draws for every model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats

DRAWS = 2_000
Doubles = npt.NDArray[np.float64]


class Draws:
    """D bootstrap samples of the groups.

    Args:
        groups: (n,) group of each row.
        seed: Seed of the draws.
        draws: Number D of the samples.
    """

    def __init__(self, groups: Sequence[str], seed: int = 0, draws: int = DRAWS) -> None:
        names, self._group = np.unique(np.asarray(groups), return_inverse=True)
        chosen = np.random.default_rng(seed).integers(0, len(names), size=(draws, len(names)))
        self._counts = np.stack([np.bincount(row, minlength=len(names)) for row in chosen]).astype(np.float64)

    def totals(self, values: npt.NDArray[np.generic]) -> Doubles:
        """Sums over each draw's rows: (n, ...) values to (D, ...)."""
        flat = values.reshape(values.shape[0], -1).astype(np.float64)
        sums = np.zeros((self._counts.shape[1], flat.shape[1]))
        np.add.at(sums, self._group, flat)
        return (self._counts @ sums).reshape(self._counts.shape[0], *values.shape[1:])

    def means(self, values: Floats, among: npt.NDArray[np.bool_]) -> Doubles:
        """(D,) means of (n,) values over the rows of each draw that (n,) `among` selects; NaN where a draw has none of them."""
        size = self.totals(among)
        return np.divide(self.totals(values * among), size, out=np.full_like(size, np.nan), where=size > 0)


def interval(values: Doubles) -> list[float]:
    """95 % percentile interval of (D,) draws, without those that have no value."""
    return [round(float(end), 4) for end in np.nanquantile(values, (0.025, 0.975))]
