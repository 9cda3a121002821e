"""Planted shortcuts: marks in the features that agree with the label with probability p.

A plant is any function ``(blocks, labels, rng, p) -> blocks``. It is called for each part (training, and the test rows at p, .5 and
1 - p) with a generator in the same state. So everything that it draws before the number of rows matters, such as the direction
of a watermark, is the same in all parts.

    (1) z_i = y_i with probability p, else 1 - y_i                       bit of the artefact, s_i = 2 z_i - 1
    (2) x_i' = x_i + a s_i u,  ||u|| = 1                                 watermark of amplitude a in some blocks
    (3) x_i^m' = x_i^m + a t_i u_m,  x_i^n' = x_i^n + a t_i s_i u_n      t_i = +-1 at random: only the agreement of m and n gives z
    (4) x_i^m' = f^s_i x_i^m                                             scaled about the mean, 0: only the spread of block m gives z
    (5) x_i^m' = x_i^m + a z_i e_i,  e_i ~ N(0, I)                       noise of amplitude a, likewise
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from research.shortcuts.rows import Rows
from stream.domain.features import Floats
from stream.domain.modality import MODALITIES, Modality
from stream.training.eraser.blocks import Blocks, Labels
from stream.training.errors import TrainingError

Plant = Callable[[Blocks, Labels, np.random.Generator, float], Blocks]

AUDIO_AND_VIDEO = (Modality.AUDIO, Modality.VIDEO)
GENUINE_AMPLITUDE, GENUINE_AGREEMENT = 2.0, 0.8


class KnownPlant(ABC):
    """A plant that returns the mark of each row."""

    __slots__ = ()

    @abstractmethod
    def marked(self, blocks: Blocks, labels: Labels, rng: np.random.Generator, p: float) -> tuple[Blocks, Floats]:
        """Mark every row; returns the blocks and the (n,) s."""

    def __call__(self, blocks: Blocks, labels: Labels, rng: np.random.Generator, p: float) -> Blocks:
        """Mark every row."""
        return self.marked(blocks, labels, rng, p)[0]


@dataclass(frozen=True, slots=True)
class Watermark(KnownPlant):
    """Equation (2): one random direction over the blocks of some modalities."""

    modalities: tuple[Modality, ...]
    amplitude: float

    def marked(self, blocks: Blocks, labels: Labels, rng: np.random.Generator, p: float) -> tuple[Blocks, Floats]:
        """Mark every row; returns the blocks and the (n,) s."""
        directions = _directions(blocks, self.modalities, rng)
        signs = agreeing_signs(labels, rng, p)
        return _added(blocks, {m: np.outer(self.amplitude * signs, directions[m]) for m in self.modalities}), signs


@dataclass(frozen=True, slots=True)
class Agreement(KnownPlant):
    """Equation (3): neither block alone contains the bit; the product of their signs does."""

    first: Modality
    second: Modality
    amplitude: float

    def marked(self, blocks: Blocks, labels: Labels, rng: np.random.Generator, p: float) -> tuple[Blocks, Floats]:
        """Mark every row; returns the blocks and the (n,) s."""
        first = _directions(blocks, (self.first,), rng)[self.first]
        second = _directions(blocks, (self.second,), rng)[self.second]
        signs = agreeing_signs(labels, rng, p)
        carrier = rng.choice((-1.0, 1.0), size=labels.shape[0])
        marks = {self.first: np.outer(self.amplitude * carrier, first), self.second: np.outer(self.amplitude * carrier * signs, second)}
        return _added(blocks, marks), signs


@dataclass(frozen=True, slots=True)
class Scaled(KnownPlant):
    """Equation (4)."""

    modality: Modality
    factor: float

    def marked(self, blocks: Blocks, labels: Labels, rng: np.random.Generator, p: float) -> tuple[Blocks, Floats]:
        """Mark every row; returns the blocks and the (n,) s."""
        signs = agreeing_signs(labels, rng, p)
        return blocks | {self.modality: np.asarray(blocks[self.modality] * (self.factor**signs)[:, None], dtype=np.float32)}, signs


@dataclass(frozen=True, slots=True)
class Noise(KnownPlant):
    """Equation (5)."""

    modality: Modality
    amplitude: float

    def marked(self, blocks: Blocks, labels: Labels, rng: np.random.Generator, p: float) -> tuple[Blocks, Floats]:
        """Mark every row; returns the blocks and the (n,) s."""
        signs = agreeing_signs(labels, rng, p)
        noise = self.amplitude * rng.standard_normal(blocks[self.modality].shape) * (signs > 0)[:, None]
        return _added(blocks, {self.modality: noise.astype(np.float32)}), signs


def agreeing_signs(labels: Labels, rng: np.random.Generator, p: float) -> Floats:
    """(n,) s of equation (1)."""
    agrees = rng.random(labels.shape[0]) < p
    return np.where(agrees, 2.0 * labels - 1.0, 1.0 - 2.0 * labels).astype(np.float32)


def with_genuine_signal(rows: Rows, seed: Sequence[int]) -> Rows:
    """Add a signal in audio and video that agrees with the label equally often in every part.

    Without it, a defence that throws audio and video away would lose nothing. The last number of `seed` is the part; the others
    determine the direction, which all parts share.
    """
    directions = _directions(rows.blocks, AUDIO_AND_VIDEO, np.random.default_rng(list(seed[:-1])))
    signs = agreeing_signs(rows.labels, np.random.default_rng(list(seed)), GENUINE_AGREEMENT)
    signal = {m: np.outer(GENUINE_AMPLITUDE * signs, directions[m]) for m in AUDIO_AND_VIDEO}
    return replace(rows, blocks=_added(rows.blocks, signal))


def load_plant(file: Path) -> Plant:
    """Load the function ``plant`` from a Python file.

    Raises:
        TrainingError: If the file has no such function.
    """
    spec = importlib.util.spec_from_file_location("planted", file)
    if spec is None or spec.loader is None:
        raise TrainingError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, "plant", None)):
        raise TrainingError(f"{file} has no function plant(features, labels, rng, p)")
    return cast("Plant", module.plant)


def _directions(blocks: Blocks, modalities: Sequence[Modality], rng: np.random.Generator) -> dict[Modality, Floats]:
    """One random unit vector over some modalities, split into its blocks."""
    whole = rng.standard_normal(sum(blocks[m].shape[1] for m in modalities))
    whole /= np.linalg.norm(whole)
    ends = np.cumsum([blocks[m].shape[1] for m in modalities])
    return {m: whole[end - blocks[m].shape[1] : end].astype(np.float32) for m, end in zip(modalities, ends, strict=True)}


def _added(blocks: Blocks, marks: dict[Modality, Floats]) -> Blocks:
    return {m: (blocks[m] + marks[m]).astype(np.float32) if m in marks else blocks[m] for m in MODALITIES if m in blocks}
