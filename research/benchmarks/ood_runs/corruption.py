"""Test windows without a modality or with noise on it, and the area under the accuracy curve.

A test window that lacks a modality also lacks it in the context of other windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from research.experiments.corpus import Corpus
from stream.domain.modality import Modality
from stream.training.corpora import Part


def dropped(corpus: Corpus, modality: Modality, share: float, seed: int) -> Corpus:
    """Remove a modality from a share of the test windows; with one seed, a larger share contains the windows of a smaller one."""
    own = corpus.features[modality]
    test = corpus.rows(Part.TEST)
    order = np.random.default_rng(seed).permutation(test)
    values, mask = own.values.copy(), own.mask.copy()
    removed = order[: round(share * test.size)]
    values[removed], mask[removed] = 0.0, 0.0
    return replace(corpus, features=corpus.features | {modality: replace(own, values=values, mask=mask)})


def noised(corpus: Corpus, modality: Modality, deviation: float, seed: int) -> Corpus:
    """Add Gaussian noise to a modality of all test windows, in standard deviations of its features; a seed fixes its direction."""
    own = corpus.features[modality]
    test = corpus.rows(Part.TEST)
    noise = np.random.default_rng(seed).standard_normal((test.size, *own.values.shape[1:])).astype(np.float32)
    values = own.values.copy()
    values[test] += deviation * noise * own.mask[test][..., None]
    return replace(corpus, features=corpus.features | {modality: replace(own, values=values)})


def area(curve: Mapping[float, float]) -> float:
    """Mean height of a curve, interpolated linearly (the trapezoidal rule: numpy 1 and numpy 2 name theirs differently)."""
    amounts = np.array(sorted(curve))
    heights = np.array([curve[amount] for amount in amounts])
    return float((np.diff(amounts) * (heights[1:] + heights[:-1]) / 2.0).sum() / (amounts[-1] - amounts[0]))
