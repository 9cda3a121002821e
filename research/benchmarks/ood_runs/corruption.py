"""Test windows without a modality, or with noise on it; the area under the accuracy curve.

A test window that lacks a modality lacks it too where it is another window's past.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from research.experiments.corpus import Corpus
from stream.domain.modality import Modality
from stream.training.corpora import Part


def dropped(corpus: Corpus, modality: Modality, share: float, seed: int) -> Corpus:
    """A share of the test windows without a modality; of one seed, a larger share takes those of a smaller one and more."""
    own = corpus.features[modality]
    test = corpus.rows(Part.TEST)
    order = np.random.default_rng(seed).permutation(test)
    values, mask = own.values.copy(), own.mask.copy()
    gone = order[: round(share * test.size)]
    values[gone], mask[gone] = 0.0, 0.0
    return replace(corpus, features=corpus.features | {modality: replace(own, values=values, mask=mask)})


def noised(corpus: Corpus, modality: Modality, deviation: float, seed: int) -> Corpus:
    """Gaussian noise on a modality of all test windows, in standard deviations of its features; of one seed it differs in size only."""
    own = corpus.features[modality]
    test = corpus.rows(Part.TEST)
    noise = np.random.default_rng(seed).standard_normal((test.size, *own.values.shape[1:])).astype(np.float32)
    values = own.values.copy()
    values[test] += deviation * noise * own.mask[test][..., None]
    return replace(corpus, features=corpus.features | {modality: replace(own, values=values)})


def area(curve: Mapping[float, float]) -> float:
    """Mean height of a curve, its points joined by straight lines."""
    places = np.array(sorted(curve))
    heights = np.array([curve[at] for at in places])
    return float((np.diff(places) * (heights[1:] + heights[:-1]) / 2.0).sum() / (places[-1] - places[0]))
