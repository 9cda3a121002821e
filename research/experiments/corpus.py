"""A corpus in memory: windows with features, targets and their order in time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.modality import MODALITIES, Modality
from stream.training.corpora import Part

Rows = npt.NDArray[np.int64]

PastOfOthers = Literal["real", "shuffled", "none"]

NO_WINDOW = -1
"""Index for a missing window."""

MAX_DRAWS = 50
"""Most draws of a line from another dialogue until it fits."""


@dataclass(frozen=True, slots=True)
class Features:
    """Nodes of one modality of n windows: (n, N, width) values and (n, N) mask, 0 where there is no node."""

    values: Floats
    mask: Floats

    @classmethod
    def of_vectors(cls, vectors: Floats) -> Features:
        """Make one node for each window from (n, width) vectors."""
        return cls(vectors[:, None].astype(np.float32), np.ones((vectors.shape[0], 1), dtype=np.float32))


@dataclass(frozen=True, slots=True)
class Corpus:
    """n windows.

    Attributes:
        name: Name of the corpus.
        ids: (n,) ids of the windows.
        groups: (n,) video or dialogue; its windows are never in two parts.
        order: (n,) position in time within the group.
        speakers: (n,) speaker, within the group.
        parts: (n,) part of the corpus.
        texts: (n,) transcripts.
        scores: (n,) in [-3, 3]; NaN where only the polarity is known.
        polarities: (n,) 0 negative, 1 neutral, 2 positive.
        features: Features of the modalities that the corpus has.
    """

    name: str
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    order: Rows
    speakers: tuple[str, ...]
    parts: tuple[Part, ...]
    texts: tuple[str, ...]
    scores: Floats
    polarities: Rows
    features: dict[Modality, Features]

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.ids)

    def rows(self, part: Part) -> Rows:
        """Indices of the windows of one part."""
        return np.flatnonzero([own is part for own in self.parts])

    def only(self, modalities: tuple[Modality, ...]) -> Corpus:
        """The same windows with only some of the modalities."""
        return replace(self, features={m: self.features[m] for m in MODALITIES if m in modalities and m in self.features})


def with_validation(corpus: Corpus, groups: int, seed: int) -> Corpus:
    """Move whole videos (`groups` of them) from the training part to the validation part."""
    training = corpus.rows(Part.TRAIN)
    names = np.unique(np.array(corpus.groups)[training])
    chosen = set(np.random.default_rng(seed).choice(names, size=min(groups, len(names) - 1), replace=False).tolist())
    moved = {Part.TRAIN: Part.VALIDATION}
    parts = tuple(moved.get(part, part) if group in chosen else part for part, group in zip(corpus.parts, corpus.groups, strict=True))
    return replace(corpus, parts=parts)


def neighbours_in_time(corpus: Corpus, past: int, future: int) -> tuple[Rows, Rows]:
    """Find the windows before and after each window, within its group.

    Args:
        corpus: The windows.
        past: Number of windows before.
        future: Number of windows after; only for offline models.

    Returns:
        (n, past + future) indices, `NO_WINDOW` where there is none, and (n, past + future) lags in windows, negative for later ones.
    """
    rows = np.full((len(corpus), past + future), NO_WINDOW, dtype=np.int64)
    lags = np.concatenate([np.arange(1, past + 1), -np.arange(1, future + 1)])
    groups = np.array(corpus.groups)
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        own = own[np.argsort(corpus.order[own], kind="stable")]
        for column, lag in enumerate(lags):
            if abs(lag) < own.size:
                here, there = (own[lag:], own[:-lag]) if lag > 0 else (own[:lag], own[-lag:])
                rows[here, column] = there
    return rows, np.broadcast_to(lags, rows.shape).copy()


def with_past_of_others(corpus: Corpus, around: Rows, others: PastOfOthers, seed: int) -> Rows:
    """Keep, remove or exchange the windows of other speakers in the context of each window.

    Args:
        corpus: The windows.
        around: (n, K) indices from `neighbours_in_time`.
        others: ``real`` keeps them, ``none`` removes them. ``shuffled`` exchanges each for a line of another speaker in another
            dialogue of the same part; it is removed if `MAX_DRAWS` draws do not find such a line.
        seed: Seed of the draws.

    Returns:
        (n, K) indices.
    """
    speakers, groups = (np.unique(np.array(names), return_inverse=True)[1] for names in (corpus.speakers, corpus.groups))
    theirs = (around != NO_WINDOW) & (speakers[around] != speakers[:, None])
    if others == "real":
        return around
    if others == "none":
        return np.where(theirs, NO_WINDOW, around)
    rng = np.random.default_rng(seed)
    changed = around.copy()
    for part in Part:
        own = corpus.rows(part)
        rows, columns = np.nonzero(theirs & np.isin(np.arange(len(corpus)), own)[:, None])
        unfit = np.arange(rows.size)
        for _ in range(MAX_DRAWS):
            drawn = rng.choice(own, size=unfit.size) if unfit.size else unfit
            changed[rows[unfit], columns[unfit]] = drawn
            unfit = unfit[(groups[drawn] == groups[rows[unfit]]) | (speakers[drawn] == speakers[rows[unfit]])]
        changed[rows[unfit], columns[unfit]] = NO_WINDOW
    return changed


def standardised(corpus: Corpus, like: Corpus | None = None) -> Corpus:
    """Standardise each feature over the nodes of the training part, and clip it to ±10.

    Args:
        corpus: The corpus.
        like: Corpus whose training part gives mean and deviation, for models that were trained on it; None for `corpus`.
    """
    like = like or corpus
    training = like.rows(Part.TRAIN)
    features = {}
    for modality, own in corpus.features.items():
        known = like.features[modality]
        seen = known.values[training][known.mask[training] > 0]
        mean, deviation = seen.mean(axis=0), seen.std(axis=0)
        values = (own.values - mean) / np.where(deviation > 1e-6, deviation, 1.0)
        features[modality] = Features(np.clip(values, -10, 10) * own.mask[..., None], own.mask)
    return replace(corpus, features=features)
