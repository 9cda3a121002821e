"""How stable explanations are: under small noise, between runs and between explainers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.stats import kendalltau

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.explain.methods.value import Explainer, Value, node_mask

NOISE = 0.02
"""Noise on the nodes, relative to the spread of their numbers."""
DRAWS = 4


def max_sensitivity(explainer: Explainer, inputs: WindowInputs, value: Value, seed: int, noise: float = NOISE) -> float:
    """Largest relative change of the explanation under small noise (Yeh et al., arXiv 1901.09392): max |r(x + e) - r(x)| / |r(x)|.

    It is no measure of truth: an explanation that never changes has 0.

    Args:
        explainer: The explainer.
        inputs: The window.
        value: The model.
        seed: Seed of the noise, which is the same for all explainers.
        noise: Bound of the uniform noise, as a multiple of the standard deviation of a modality's numbers.
    """
    rng = np.random.default_rng(seed)
    before = explainer(inputs, value)
    size = float(np.linalg.norm(before))
    if size == 0.0:
        return 0.0
    changes = [float(np.linalg.norm(explainer(_noisy(inputs, noise, rng), value) - before)) for _ in range(DRAWS)]
    return max(changes) / size


def _noisy(inputs: WindowInputs, noise: float, rng: np.random.Generator) -> WindowInputs:
    def moved(values: Floats, mask: Floats) -> Floats:
        nodes = values[mask > 0]
        bound = noise * float(nodes.std()) if nodes.size else 0.0
        return (values + rng.uniform(-bound, bound, values.shape) * mask[:, None]).astype(np.float32)

    return replace(
        inputs,
        words=moved(inputs.words, inputs.word_mask),
        audio=moved(inputs.audio, inputs.audio_mask),
        video=moved(inputs.video, inputs.video_mask),
    )


def agreement(one: Floats, other: Floats, inputs: WindowInputs) -> float:
    """Kendall's tau of two (N,) explanations of a window's nodes; 0 where one of them is constant."""
    nodes = node_mask(inputs) > 0
    tau = float(kendalltau(one[nodes], other[nodes]).statistic)
    return 0.0 if np.isnan(tau) else tau


def shared_top(one: Floats, other: Floats, inputs: WindowInputs, count: int = 5) -> float:
    """Jaccard index of the `count` nodes with the largest relevance of either sign."""
    nodes = np.flatnonzero(node_mask(inputs))
    tops = [set(nodes[np.argsort(-np.abs(values[nodes]), kind="stable")[:count]].tolist()) for values in (one, other)]
    return len(tops[0] & tops[1]) / len(tops[0] | tops[1]) if tops[0] else 1.0
