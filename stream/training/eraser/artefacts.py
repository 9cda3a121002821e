"""Artefacts found in training features and removed from them: a transform and strata for any model, without artefact labels.

The assumption (A1'): an artefact adds the same vector to every row in which it is present, so that the rows form two clusters. It
is either salient, with almost nothing between the clusters, or it agrees with the label more often than an honest cue does. Neither
its modality nor p, its agreement with the label, is given. A mark that shows only in the agreement of two modalities appears as two
such directions. Or it changes the spread of a block, and with it the label is told better than an honest spread tells it: `spread`.

    find     J(w) of (4) on all modalities joined. A direction is an artefact if J >= `SHARPEST_HONEST` and its clusters are
             `WIDEST_HONEST` standard deviations apart. Else the two-point source, over all choices of blocks, that agrees best
             with the label is an artefact if it agrees in more than `MOST_HONEST_AGREEMENT` of the rows.
    read     (7) r(x) = w.x - m, the linear discriminant of the clusters on clipped features, scaled so that the clusters lie at
             +-1. A training row is read by the discriminant of the other folds. Rows that are not near a cluster are left out
             of the next steps.
    spare    Two-point sources within the clusters whose shares differ between the clusters. These are honest signals that come
             with the label, as the artefact does, but vary on their own. As covariates of (5) they are not taken for a part of
             the artefact.
    erase    (8) x_m' = x_m - Q_m Q_m^T (x_m - mean_m),  Q_m an orthonormal basis of the effects (6) of all artefacts in block m;
             then (12) in blocks whose spread has an artefact
    stratify (9) k(x) = sum_b 2^b [r_b(x) > 0],  P(k) its share of the training rows; r of (7), and of (11) for spreads
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.modality import MODALITIES, Modality
from stream.training.eraser.blocks import Blocks, Labels, joined
from stream.training.eraser.effect import effect_of_mark
from stream.training.eraser.sources import Signs, clusters, clusters_within, separation, whitened, whitened_within
from stream.training.eraser.spread import Spread, find_spread

SHARPEST_HONEST, SALIENT_COMPONENTS = 0.93, 30
"""J of (4) from which a direction among the leading components of all features is an artefact: honest features reach .89."""

WIDEST_HONEST = 5.0
"""Distance of an artefact's clusters in standard deviations: honest features reach 3.8; a watermark of amplitude 4 has 5.7."""

MOST_HONEST_AGREEMENT = 0.85
"""Agreement with the label above which two clusters, however faint, are too good to be honest."""

FAINT_COMPONENTS, FAINT_DIRECTIONS = (12, 20), 3
"""Numbers of components in which faint artefacts are searched, and directions that are tried in each."""

MAX_ARTEFACTS = 4
CLIP, SOURCE_CLIP = 4.0, 3.0
"""Limits of standardised features, for discriminants and for the search of sources: outliers pass for a cluster."""

FOLDS = 5
COVARIANCE_SHRINKAGE = 0.3
WIDEST_CLUSTER = 0.42
"""Spread of out-of-fold readings around +-1 above which there are no two clusters: a watermark of amplitude 2 has .2 to .38."""

NEAR_MIDDLE, FAR_FROM_CLUSTER = 0.3, 4.0
"""Rows whose reading is nearer to 0, or farther from its cluster in spreads, than this are left out of the fit of the effect."""

SOURCE_COMPONENTS = (15, 22, 30)
SOURCES_TRIED = 8
SOURCE_EXPLAINS = 0.7
"""Least share of a direction's variance that a source's two clusters explain."""

SHARE_Z = 5.0
SMALLEST_EFFECT = 0.5
"""Squared length below which an effect is left in its block: erasing it would remove more signal than artefact."""

_SEED = 0


@dataclass(frozen=True, slots=True)
class Artefact:
    """One artefact, which is present in a row or absent.

    Attributes:
        weights: (d,) w of (7), over the joined blocks.
        middle: m of (7).
        effects: By modality, the (d_m,) effect (6) in each block that contains the artefact.
    """

    weights: Floats
    middle: float
    effects: Blocks

    def reading(self, blocks: Blocks) -> Floats:
        """(n,) r of equation (7), near -1 or 1. Which of them means that the artefact is present is unknown."""
        return np.asarray(_clipped(joined(blocks), CLIP) @ self.weights - self.middle, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Eraser:
    """The transform, (8) and (12), and the strata (9). Without artefacts it changes nothing and has one stratum.

    Attributes:
        artefacts: The artefacts that were found in the place of rows.
        means: Mean of each block over the training rows.
        bases: By modality, (d_m, rank) Q_m of the blocks that contain an artefact.
        spreads: By modality, the artefacts that were found in the spread of rows after (8).
        frequencies: (2^(artefacts + spreads),) P(k).
    """

    artefacts: tuple[Artefact, ...]
    means: Blocks
    bases: Blocks
    spreads: dict[Modality, Spread]
    frequencies: Floats

    def __call__(self, blocks: Blocks) -> Blocks:
        """Apply equations (8) and (12). Blocks without an artefact are returned unchanged."""
        projected = self._projected(blocks)
        return {m: self.spreads[m](block) if m in self.spreads else block for m, block in projected.items()}

    @property
    def found(self) -> bool:
        """Whether there is any artefact."""
        return bool(self.artefacts or self.spreads)

    def strata(self, blocks: Blocks) -> npt.NDArray[np.int64]:
        """(n,) stratum of each row, equation (9)."""
        projected = self._projected(blocks)
        present = [artefact.reading(blocks) > 0 for artefact in self.artefacts]
        present += [spread.reading(projected[m]) > 0 for m, spread in self.spreads.items()]
        index = np.zeros(next(iter(blocks.values())).shape[0], dtype=np.int64)
        for bit, rows in enumerate(present):
            index += rows.astype(np.int64) << bit
        return index

    def _projected(self, blocks: Blocks) -> Blocks:
        return {m: self._erased(m, block) if m in self.bases else block for m, block in blocks.items()}

    def _erased(self, modality: Modality, block: Floats) -> Floats:
        basis = self.bases[modality]
        return np.asarray(block - (block - self.means[modality]) @ basis @ basis.T, dtype=np.float32)


def fit_eraser(blocks: Blocks, labels: Labels) -> Eraser:
    """Find and measure the artefacts of training rows, each in the features that the erasure of the earlier ones leaves.

    It is deterministic, and takes about two seconds for each artefact and two seconds more.

    Args:
        blocks: Standardised features of n training rows.
        labels: (n,) labels, 0 or 1.
    """
    means = {m: block.mean(axis=0) for m, block in blocks.items()}
    eraser = Eraser((), means, {}, {}, np.ones(1, dtype=np.float32))
    marks: list[Signs] = []
    for _ in range(MAX_ARTEFACTS):
        found = _most_suspicious(eraser(blocks), labels)
        # Measured on the original features: on erased ones, an artefact that overlaps an earlier one would lose a part of its effect.
        measured = None if found is None else _measured(blocks, labels, found, marks)
        if measured is None:
            break
        artefact, mark = measured
        marks.append(mark)
        artefacts = (*eraser.artefacts, artefact)
        eraser = Eraser(artefacts, means, _bases(artefacts), {}, eraser.frequencies)
    spreads = {m: spread for m, block in eraser(blocks).items() if (spread := find_spread(block, labels)) is not None}
    eraser = replace(eraser, spreads=spreads)
    counts = np.bincount(eraser.strata(blocks), minlength=2 ** (len(eraser.artefacts) + len(spreads)))
    return replace(eraser, frequencies=(counts / counts.sum()).astype(np.float32))


def _bases(artefacts: Sequence[Artefact]) -> Blocks:
    """Q_m of (8): orthonormal bases of the artefacts' effects, by modality."""
    bases = {}
    for m in MODALITIES:
        effects = [artefact.effects[m] for artefact in artefacts if m in artefact.effects]
        if effects:
            bases[m] = np.linalg.qr(np.stack(effects, axis=1))[0].astype(np.float32)
    return bases


def _most_suspicious(blocks: Blocks, labels: Labels) -> Signs | None:
    """Cluster of each row along the direction that looks most like an artefact; None if no direction does."""
    features = joined(blocks)
    sharpness, found = next(clusters(whitened(features, SALIENT_COMPONENTS), 1, _SEED))
    if sharpness >= SHARPEST_HONEST and separation(features, found) >= WIDEST_HONEST:
        return found
    label = (2.0 * labels - 1.0).astype(np.float32)
    faint = []
    for chosen in _choices(blocks, 1):
        white = whitened(_clipped(joined({m: blocks[m] for m in chosen}), SOURCE_CLIP), max(FAINT_COMPONENTS))
        for components in FAINT_COMPONENTS:
            faint += [found for _, found in clusters(white[:, :components], FAINT_DIRECTIONS, _SEED)]
    best = max(faint, key=lambda found: _agreement(found, label))
    return best if _agreement(best, label) > MOST_HONEST_AGREEMENT else None


def _measured(blocks: Blocks, labels: Labels, found: Signs, earlier: Sequence[Signs]) -> tuple[Artefact, Signs] | None:
    """The artefact and its mark on each row; None if the clusters do not show out of fold, or no block contains the artefact."""
    features = _clipped(joined(blocks), CLIP)
    mark, values = _read(features, found)
    spread = 1.4826 * float(np.median(np.abs(values - mark)))  # median absolute deviation of a Gaussian to its standard deviation
    if spread > WIDEST_CLUSTER or not _is_new(mark, earlier):
        return None
    clear = (np.abs(values - mark) < FAR_FROM_CLUSTER * spread) & (np.abs(values) > NEAR_MIDDLE)
    weights, middle = _discriminant(features[clear], mark[clear])
    kept = {m: block[clear] for m, block in blocks.items()}
    covariates = [other[clear] for other in earlier]
    if _share_differs(labels[clear] > 0, mark[clear]):
        covariates += _honest_sources(kept, mark[clear], covariates)
    effects = {m: effect_of_mark(_clipped(block, CLIP), mark[clear], labels[clear], covariates) for m, block in kept.items()}
    effects = {m: effect for m, effect in effects.items() if float(effect @ effect) > SMALLEST_EFFECT}
    return (Artefact(weights, middle, effects), mark) if effects else None


def _read(features: Floats, found: Signs) -> tuple[Signs, Floats]:
    """The cluster of each row and its reading (7) out of fold, repeated until the clusters stay the same."""
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
    residual = features - np.where(mark[:, None] > 0, upper, lower)
    covariance = residual.T @ residual / features.shape[0]
    scale = float(np.trace(covariance)) / features.shape[1]
    shrunk = (1 - COVARIANCE_SHRINKAGE) * covariance + COVARIANCE_SHRINKAGE * scale * np.eye(features.shape[1])
    weights = np.linalg.solve(shrunk, half)
    weights = (weights / (weights @ half)).astype(np.float32)
    return weights, float((upper + lower) @ weights) / 2


def _honest_sources(blocks: Blocks, mark: Signs, known: Sequence[Signs]) -> list[Signs]:
    """New two-point sources within the clusters of `mark` whose shares differ between them, over every choice of two or more blocks."""
    candidates = []
    for chosen in _choices(blocks, 2):
        features = _clipped(joined({m: blocks[m] for m in chosen}), SOURCE_CLIP)
        white = whitened_within(features, mark, max(SOURCE_COMPONENTS))
        for components in SOURCE_COMPONENTS:
            sources = clusters_within(white[:, :components], mark, _SEED)
            candidates += [source for source, _ in zip(sources, range(SOURCES_TRIED), strict=False)]
    sources_kept: list[Signs] = []
    for explained, source in sorted(candidates, key=lambda candidate: -candidate[0]):
        if explained > SOURCE_EXPLAINS and _share_differs(source > 0, mark) and _is_new(source, [*known, *sources_kept]):
            sources_kept.append(source)
    return sources_kept


def _choices(blocks: Blocks, fewest: int) -> list[tuple[Modality, ...]]:
    """All choices of at least `fewest` blocks; all blocks where there are fewer."""
    names = [m for m in MODALITIES if m in blocks]
    return [chosen for size in range(min(fewest, len(names)), len(names) + 1) for chosen in combinations(names, size)]


def _agreement(found: Signs, label: Signs) -> float:
    share = float((found == label).mean())
    return max(share, 1.0 - share)


def _is_new(source: Signs, others: Sequence[Signs]) -> bool:
    return all(abs(float(np.corrcoef(source, other)[0, 1])) < 0.7 for other in others)


def _share_differs(flags: npt.NDArray[np.bool_], mark: Signs) -> bool:
    """Whether the share of flagged rows differs between the two clusters by more than `SHARE_Z` standard errors."""
    upper, lower = flags[mark > 0], flags[mark < 0]
    return bool(abs(upper.mean() - lower.mean()) > SHARE_Z * np.sqrt(0.25 / upper.size + 0.25 / lower.size))


def _clipped(features: Floats, most: float) -> Floats:
    return np.clip(features, -most, most)
