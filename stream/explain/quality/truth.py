"""Explanations against a known truth: words that were really removed, and planted marks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.explain.word_effects import LEAST_EFFECT

Mask = npt.NDArray[np.bool_]


def says_something(effects: Floats) -> bool:
    """Whether (w,) effects of words or phrases can tell a good ranking from a bad one: one of them moves the score."""
    return len(effects) > 1 and float(np.abs(effects).max()) >= LEAST_EFFECT


def right_sign(relevance: Floats, effects: Floats) -> bool:
    """Whether the word that is said to matter most has the sign of its effect.

    Args:
        relevance: (w,) relevance of words or phrases.
        effects: (w,) score minus the score if each had not been said: the other words are encoded again.
    """
    top = int(np.argmax(np.abs(relevance)))
    return bool(relevance[top] * effects[top] > 0)


def right_word(relevance: Floats, effects: Floats) -> bool:
    """Whether it is the word with the largest effect of either sign."""
    return bool(np.argmax(np.abs(relevance)) == np.argmax(np.abs(effects)))


def hits(relevance: Floats, mask: Mask) -> bool:
    """The pointing game (Zhang et al., arXiv 1608.00507): whether the most relevant node is in the (n,) mask."""
    return bool(mask[int(np.argmax(np.abs(relevance)))])


def relevance_mass(relevance: Floats, mask: Mask) -> float:
    """Share of the relevance, of either sign, that is in the mask (Arras et al., arXiv 2003.07258); 0 without relevance."""
    size = np.abs(relevance)
    total = float(size.sum())
    return float(size[mask].sum()) / total if total > 0 else 0.0


def iou(relevance: Floats, mask: Mask) -> float:
    """Intersection over union of the mask and as many nodes of the largest relevance."""
    found = np.zeros(len(mask), np.bool_)
    found[np.argsort(-np.abs(relevance), kind="stable")[: int(mask.sum())]] = True
    return float((found & mask).sum() / (found | mask).sum())
