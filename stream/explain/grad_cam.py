"""Grad-CAM++ (Chattopadhay et al., arXiv 1710.11063), chained to the score: what it finds for the score's own direction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats


def grad_cam_plus_plus(features: npt.NDArray[np.floating], slopes: npt.NDArray[np.floating], sign: float) -> Floats:
    """Relevance of n positions with k channels. It has no evidence against the score.

    With the feature map A_ik and g_ik the derivative of the score, in its own direction, with respect to it:
    a_ik = g_ik^2 / (2 g_ik^2 + g_ik^3 sum_j A_jk), c_k = sum_i a_ik ReLU(g_ik), relevance_i = ReLU(sum_k c_k A_ik).

    Args:
        features: (n, k) feature map.
        slopes: (n, k) derivative of the score with respect to it.
        sign: 1.0, or -1.0 for a score below zero.

    Returns:
        (n,) relevance with the sign of the score, in units of its own.
    """
    channels, gradient = features.astype(np.float64), sign * slopes.astype(np.float64)
    below = 2 * gradient**2 + gradient**3 * channels.sum(axis=0)
    share = np.divide(gradient**2, below, out=np.zeros_like(below), where=below != 0)
    weights = (share * np.maximum(gradient, 0.0)).sum(axis=0)
    found: Floats = (sign * np.maximum(channels @ weights, 0.0)).astype(np.float32)
    return found
