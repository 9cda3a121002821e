"""A corpus in memory: windows with features, targets, and who comes before whom."""

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

NOBODY = -1
"""In place of a row: there is no such window."""

MOST_DRAWS = 50
"""Times a line of another dialogue is drawn again when it does not fit."""


@dataclass(frozen=True, slots=True)
class Features:
    """Nodes of one modality of n windows: (n, N, width) values and (n, N) mask, 0 where there is no node."""

    values: Floats
    mask: Floats

    @classmethod
    def of_vectors(cls, vectors: Floats) -> Features:
        """One node a window from (n, width) vectors."""
        return cls(vectors[:, None].astype(np.float32), np.ones((vectors.shape[0], 1), dtype=np.float32))


@dataclass(frozen=True, slots=True)
class Corpus:
    """n windows.

    Attributes:
        name: Of the corpus.
        ids: (n,) of the windows.
        groups: (n,) the video or dialogue: windows of one are never in two parts.
        order: (n,) place in time inside the group.
        speakers: (n,) who speaks, within the group.
        parts: (n,) `Part`.
        texts: (n,) transcripts.
        scores: (n,) in [-3, 3]; NaN where only the polarity is known.
        polarities: (n,) 0 negative, 1 neutral, 2 positive.
        features: By modality; one that the corpus lacks is not in it.
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
        """Rows of one part."""
        return np.flatnonzero([own is part for own in self.parts])

    def only(self, modalities: tuple[Modality, ...]) -> Corpus:
        """The same windows with some of the modalities."""
        return replace(self, features={m: self.features[m] for m in MODALITIES if m in modalities and m in self.features})


def with_validation(corpus: Corpus, groups: int, seed: int) -> Corpus:
    """Carve a validation part of so many whole videos from the training part."""
    training = corpus.rows(Part.TRAIN)
    names = np.unique(np.array(corpus.groups)[training])
    chosen = set(np.random.default_rng(seed).choice(names, size=min(groups, len(names) - 1), replace=False).tolist())
    moved = {Part.TRAIN: Part.VALIDATION}
    parts = tuple(moved.get(part, part) if group in chosen else part for part, group in zip(corpus.parts, corpus.groups, strict=True))
    return replace(corpus, parts=parts)


def neighbours_in_time(corpus: Corpus, past: int, future: int) -> tuple[Rows, Rows]:
    """The windows around each window, of the same group.

    Args:
        corpus: Where to look.
        past: How many before it.
        future: How many after it; only for models that work offline.

    Returns:
        (n, past + future) rows, `NOBODY` where there is none, and (n, past + future) how many windows ago each was, negative
        for later ones.
    """
    rows = np.full((len(corpus), past + future), NOBODY, dtype=np.int64)
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


def with_others(corpus: Corpus, around: Rows, others: PastOfOthers, seed: int) -> Rows:
    """What becomes of the windows around each window that somebody else speaks.

    Args:
        corpus: Whose windows.
        around: (n, K) rows of `neighbours_in_time`.
        others: ``real`` leaves them, ``none`` takes them out, ``shuffled`` puts a line in place of each that someone else again
            says in another dialogue of the same part (nothing, where no such line is found in `MOST_DRAWS` draws).
        seed: Of the lines drawn.

    Returns:
        (n, K) rows.
    """
    speakers, groups = (np.unique(np.array(names), return_inverse=True)[1] for names in (corpus.speakers, corpus.groups))
    theirs = (around != NOBODY) & (speakers[around] != speakers[:, None])
    if others == "real":
        return around
    if others == "none":
        return np.where(theirs, NOBODY, around)
    rng = np.random.default_rng(seed)
    changed = around.copy()
    for part in Part:
        own = corpus.rows(part)
        rows, columns = np.nonzero(theirs & np.isin(np.arange(len(corpus)), own)[:, None])
        unfit = np.arange(rows.size)
        for _ in range(MOST_DRAWS):
            drawn = rng.choice(own, size=unfit.size) if unfit.size else unfit
            changed[rows[unfit], columns[unfit]] = drawn
            unfit = unfit[(groups[drawn] == groups[rows[unfit]]) | (speakers[drawn] == speakers[rows[unfit]])]
        changed[rows[unfit], columns[unfit]] = NOBODY
    return changed


def standardised(corpus: Corpus, like: Corpus | None = None) -> Corpus:
    """Every feature with mean 0 and deviation 1 over the nodes of the training part; values beyond ±10 are cut.

    Args:
        corpus: Whose features.
        like: Another corpus whose training part says mean and deviation, for answers of a model that was trained on it.
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
