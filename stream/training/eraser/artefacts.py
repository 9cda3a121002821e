"""Artefacts found in training features and taken out of them: a transform and strata for any model, without artefact labels.

The one assumption (A1'): an artefact adds the same to every row that it is switched on in, so that the rows fall into two heaps; and it
is either salient, with next to nothing between the heaps, or agrees with the label better than an honest cue does. Its place and p are
not given; a mark that only shows in the agreement of two modalities is two such directions. Graded or scaling marks are not found.

    find     J(w) of (4) on all modalities joined: a direction with J >= `SHARPEST_NATURAL` whose heaps are `WIDEST_NATURAL` standard
             deviations apart is an artefact. So is the one that agrees best with the label among the two-point sources of every choice
             of blocks, if it agrees more than `MOST_HONEST_AGREEMENT`.
    read     (7) r(x) = w.x - m, linear discriminant of the heaps on clipped features, scaled so that the heaps lie at +-1; a training
             row is read by the discriminant of the other folds, and rows that are not near a heap are left out of what follows.
    spare    two-point sources within the heaps whose shares differ between the heaps: signals that come with the label, as the
             artefact does, but vary on their own. They are covariates of (5), so that they do not pass for a part of the artefact.
    erase    (8) x_m' = x_m - Q_m Q_m^T (x_m - mean_m),  Q_m an orthonormal basis of the effects (6) of all artefacts in block m
    stratify (9) k(x) = sum_b 2^b [r_b(x) > 0],  P(k) its share of the training rows
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.modality import MODALITIES, Modality
from stream.training.eraser.effect import effect_of_mark
from stream.training.eraser.rows import Blocks, Rows, joined
from stream.training.eraser.sources import Signs, heaps, heaps_within, separation, whitened, whitened_within

SHARPEST_NATURAL, SALIENT_COMPONENTS = 0.93, 30
"""J of (4) from which a direction among the leading components of everything is an artefact's: honest features reach .89."""

WIDEST_NATURAL = 5.0
"""Distance of the heaps' means in standard deviations along their line: honest features reach 3.8, a watermark of amplitude 4 has 5.7."""

MOST_HONEST_AGREEMENT = 0.85
"""Agreement with the label from which two heaps, however faint, are too good to be true."""

FAINT_COMPONENTS, FAINT_SEEN = (12, 20), 3
MOST_ARTEFACTS = 4
CLIP, SOURCE_CLIP = 4.0, 3.0
FOLDS = 5
COVARIANCE_SHRINKAGE = 0.3
WIDEST_HEAP = 0.42
"""Spread of out-of-fold readings around +-1, beyond which there are no two heaps: a watermark of amplitude 2 has .2 to .38."""

NEAR_MIDDLE, FAR_FROM_HEAP = 0.3, 4.0
SOURCE_COMPONENTS = (15, 22, 30)
SOURCES_SEEN = 8
SOURCE_EXPLAINS = 0.7
SHARE_Z = 5.0
SMALLEST_EFFECT = 0.5
"""Squared length under which an effect is left in its block: less than noise adds."""

_SEED = 0


@dataclass(frozen=True, slots=True)
class Artefact:
    """One switch-like direction.

    Attributes:
        weights: (d,) w of (7), over the joined blocks.
        middle: m of (7).
        effects: What it adds in each block that holds it, (d_m,), equation (6).
    """

    weights: Floats
    middle: float
    effects: Blocks

    def reading(self, blocks: Blocks) -> Floats:
        """(n,) r of equation (7): about -1 or 1, the artefact off or on (or the other way round)."""
        return np.asarray(_clipped(joined(blocks), CLIP) @ self.weights - self.middle, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Eraser:
    """The transform (8) and the strata (9); with no artefact found it changes nothing and has one stratum.

    Attributes:
        artefacts: What was found.
        means: Mean training row of each block.
        bases: Q_m of the blocks that hold an artefact, (d_m, rank).
        frequencies: (2^artefacts,) P(k).
    """

    artefacts: tuple[Artefact, ...]
    means: Blocks
    bases: Blocks
    frequencies: Floats

    def __call__(self, blocks: Blocks) -> Blocks:
        """Equation (8); blocks without an artefact are returned as they are."""
        return {m: self._erased(m, block) if m in self.bases else block for m, block in blocks.items()}

    def strata(self, blocks: Blocks) -> npt.NDArray[np.int64]:
        """(n,) stratum of each row, equation (9)."""
        index = np.zeros(next(iter(blocks.values())).shape[0], dtype=np.int64)
        for bit, artefact in enumerate(self.artefacts):
            index += (artefact.reading(blocks) > 0).astype(np.int64) << bit
        return index

    def _erased(self, modality: Modality, block: Floats) -> Floats:
        basis = self.bases[modality]
        return np.asarray(block - (block - self.means[modality]) @ basis @ basis.T, dtype=np.float32)


def fit_eraser(train: Rows) -> Eraser:
    """Find and measure the artefacts of training rows, each on what the erasure of those before leaves over.

    Deterministic. Takes some two seconds an artefact and one to see that there is none.
    """
    means = {m: block.mean(axis=0) for m, block in train.blocks.items()}
    eraser = Eraser((), means, {}, np.ones(1, dtype=np.float32))
    marks: list[Signs] = []
    for _ in range(MOST_ARTEFACTS):
        found = _switch(replace(train, blocks=eraser(train.blocks)))
        measured = None if found is None else _measured(train, found, marks)
        if measured is None:
            break
        artefact, mark = measured
        marks.append(mark)
        artefacts = (*eraser.artefacts, artefact)
        eraser = Eraser(artefacts, means, _bases(artefacts), eraser.frequencies)
    counts = np.bincount(eraser.strata(train.blocks), minlength=2 ** len(eraser.artefacts))
    return replace(eraser, frequencies=(counts / counts.sum()).astype(np.float32))


def _bases(artefacts: Sequence[Artefact]) -> Blocks:
    bases = {}
    for m in MODALITIES:
        effects = [artefact.effects[m] for artefact in artefacts if m in artefact.effects]
        if effects:
            bases[m] = np.linalg.qr(np.stack(effects, axis=1))[0].astype(np.float32)
    return bases


def _switch(train: Rows) -> Signs | None:
    """Side of each row along the direction that most looks like an artefact's; None if none does."""
    everything = joined(train.blocks)
    sharpness, found = next(heaps(whitened(everything, SALIENT_COMPONENTS), 1, _SEED))
    if sharpness >= SHARPEST_NATURAL and separation(everything, found) >= WIDEST_NATURAL:
        return found
    label = (2.0 * train.labels - 1.0).astype(np.float32)
    faint = []
    for space in _spaces(train.blocks, 1):
        white = whitened(_clipped(joined({m: train.blocks[m] for m in space}), SOURCE_CLIP), max(FAINT_COMPONENTS))
        for components in FAINT_COMPONENTS:
            faint += [found for _, found in heaps(white[:, :components], FAINT_SEEN, _SEED)]
    best = max(faint, key=lambda found: _agreement(found, label))
    return best if _agreement(best, label) > MOST_HONEST_AGREEMENT else None


def _measured(train: Rows, found: Signs, earlier: Sequence[Signs]) -> tuple[Artefact, Signs] | None:
    """The artefact and its mark on each row; None if other rows' discriminants see no two heaps, or no block holds it."""
    features = _clipped(joined(train.blocks), CLIP)
    mark, values = _read(features, found)
    spread = 1.4826 * float(np.median(np.abs(values - mark)))
    if spread > WIDEST_HEAP or not _is_new(mark, earlier):
        return None
    clear = (np.abs(values - mark) < FAR_FROM_HEAP * spread) & (np.abs(values) > NEAR_MIDDLE)
    weights, middle = _discriminant(features[clear], mark[clear])
    kept = train.take(np.flatnonzero(clear))
    covariates = [other[clear] for other in earlier]
    if _share_differs(kept.labels > 0, mark[clear]):
        covariates += _spared(kept.blocks, mark[clear], covariates)
    effects = {m: effect_of_mark(_clipped(block, CLIP), mark[clear], kept.labels, covariates) for m, block in kept.blocks.items()}
    effects = {m: effect for m, effect in effects.items() if float(effect @ effect) > SMALLEST_EFFECT}
    return (Artefact(weights, middle, effects), mark) if effects else None


def _read(features: Floats, found: Signs) -> tuple[Signs, Floats]:
    """Which heap each row is in, and its reading (7), out of fold."""
    mark = found
    fold = np.random.default_rng(_SEED).permutation(features.shape[0]) % FOLDS
    values = np.empty(features.shape[0], dtype=np.float32)
    for _ in range(FOLDS - 1):
        for k in range(FOLDS):
            weights, middle = _discriminant(features[fold != k], mark[fold != k])
            values[fold == k] = features[fold == k] @ weights - middle
        previous, mark = mark, np.where(values > 0, 1.0, -1.0).astype(np.float32)
        if (mark == previous).all():
            break
    return mark, values


def _discriminant(features: Floats, mark: Signs) -> tuple[Floats, float]:
    """Weights and middle of (7), with a covariance shrunk towards a multiple of the identity."""
    upper, lower = features[mark > 0].mean(axis=0), features[mark < 0].mean(axis=0)
    half = (upper - lower) / 2
    left = features - np.where(mark[:, None] > 0, upper, lower)
    covariance = left.T @ left / features.shape[0]
    scale = float(np.trace(covariance)) / features.shape[1]
    shrunk = (1 - COVARIANCE_SHRINKAGE) * covariance + COVARIANCE_SHRINKAGE * scale * np.eye(features.shape[1])
    weights = np.linalg.solve(shrunk, half)
    weights = (weights / (weights @ half)).astype(np.float32)
    return weights, float((upper + lower) @ weights) / 2


def _spared(blocks: Blocks, mark: Signs, known: Sequence[Signs]) -> list[Signs]:
    """New two-point sources within the heaps of `mark` whose shares differ between them, from every choice of two or more blocks."""
    candidates = []
    for space in _spaces(blocks, 2):
        features = _clipped(joined({m: blocks[m] for m in space}), SOURCE_CLIP)
        white = whitened_within(features, mark, max(SOURCE_COMPONENTS))
        for components in SOURCE_COMPONENTS:
            sources = heaps_within(white[:, :components], mark, _SEED)
            candidates += [source for source, _ in zip(sources, range(SOURCES_SEEN), strict=False)]
    spared: list[Signs] = []
    for explained, source in sorted(candidates, key=lambda candidate: -candidate[0]):
        if explained > SOURCE_EXPLAINS and _share_differs(source > 0, mark) and _is_new(source, [*known, *spared]):
            spared.append(source)
    return spared


def _spaces(blocks: Blocks, fewest: int) -> list[tuple[Modality, ...]]:
    """All choices of `fewest` or more blocks (of all, where there are fewer)."""
    names = [m for m in MODALITIES if m in blocks]
    return [space for size in range(min(fewest, len(names)), len(names) + 1) for space in combinations(names, size)]


def _agreement(found: Signs, label: Signs) -> float:
    share = float((found == label).mean())
    return max(share, 1.0 - share)


def _is_new(source: Signs, others: Sequence[Signs]) -> bool:
    return all(abs(float(np.corrcoef(source, other)[0, 1])) < 0.7 for other in others)


def _share_differs(flags: npt.NDArray[np.bool_], mark: Signs) -> bool:
    """Whether the share of flagged rows differs between the two heaps by more than `SHARE_Z` standard errors."""
    upper, lower = flags[mark > 0], flags[mark < 0]
    return bool(abs(upper.mean() - lower.mean()) > SHARE_Z * np.sqrt(0.25 / upper.size + 0.25 / lower.size))


def _clipped(features: Floats, most: float) -> Floats:
    return np.clip(features, -most, most)
