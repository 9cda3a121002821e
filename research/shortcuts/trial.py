"""One trial: a shortcut agrees with the label in training; in the tests it agrees, is independent, or disagrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from research.shortcuts.data import Parts
from research.shortcuts.plants import KnownPlant, Plant
from research.shortcuts.rows import Rows
from stream.domain.features import Floats
from stream.training.eraser.blocks import Blocks, Labels

Transform = Callable[[Blocks], Blocks]


@dataclass(frozen=True, slots=True)
class Planted:
    """The parts of a trial.

    Attributes:
        train: Training rows, in which the shortcut agrees with the label with probability p.
        tests: The test rows with agreement p (``id``), .5 (``neutral``) and 1 - p (``flipped``).
        train_marks: (n,) s of the training rows, -1 or 1, for oracles only; None if the plant does not return them.
        neutral_marks: (n,) s of the neutral test rows, for worst groups and probes only; None in the same case.
    """

    train: Rows
    tests: dict[str, Rows]
    train_marks: Floats | None
    neutral_marks: Floats | None


def planted(parts: Parts, plant: Plant | None, p: float, seed: int) -> Planted:
    """Plant a shortcut in training and test rows; None plants nothing."""

    def mark(rows: Rows, agreement: float) -> tuple[Rows, Floats | None]:
        if plant is None:
            return rows, None
        rng = np.random.default_rng((seed, 5))
        if isinstance(plant, KnownPlant):
            blocks, marks = plant.marked(rows.blocks, rows.labels, rng, agreement)
            return replace(rows, blocks=blocks), marks
        return replace(rows, blocks=plant(dict(rows.blocks), rows.labels, rng, agreement)), None

    train, train_marks = mark(parts.train, p)
    neutral, neutral_marks = mark(parts.test, 0.5)
    tests = {"id": mark(parts.test, p)[0], "neutral": neutral, "flipped": mark(parts.test, 1 - p)[0]}
    return Planted(train, tests, train_marks, neutral_marks)


def transformed(trial: Planted, transform: Transform) -> Planted:
    """Transform the features of all parts of a trial."""

    def apply(rows: Rows) -> Rows:
        return replace(rows, blocks=transform(rows.blocks))

    return replace(trial, train=apply(trial.train), tests={name: apply(rows) for name, rows in trial.tests.items()})


def group_weights(labels: Labels, marks: Floats) -> Floats:
    """(n,) weights with mean 1 that give the four groups of label and mark equal weight.

    Groups of fewer than three rows are weighted like groups of three, so that no single row dominates.
    """
    group = 2 * labels + (marks > 0)
    weights = 1.0 / np.maximum(np.bincount(group, minlength=4), 3)[group]
    return np.asarray(weights / weights.mean(), dtype=np.float32)


def probe(features: Floats, marks: Floats) -> float:
    """Accuracy of a ridge classifier for the marks on (n, G) read-outs, trained on every second row and tested on the others.

    Near .5 the read-outs do not contain the plant.
    """
    scaled = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)
    learn = np.arange(marks.shape[0]) % 2 == 0
    known = scaled[learn]
    weights = np.linalg.solve(known.T @ known + 10.0 * np.eye(known.shape[1]), known.T @ marks[learn])
    return float((np.sign(scaled[~learn] @ weights) == marks[~learn]).mean())
