"""One defence on one trial: any model of `research.models.variants`, trained like all rows of the tables, with or without the eraser.

Models learn MOSI's scores. A planted shortcut agrees with the sign of the score, and an answer is right if its sign is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import Progress

from research.experiments.config import TrainingConfig
from research.experiments.corpus import Corpus, Features
from research.experiments.corpus import Rows as Indices
from research.experiments.fit import answer, fit
from research.experiments.windows import Windows
from research.models.interface import SentimentModel
from research.models.variants import VariantConfig, build
from research.shortcuts.rows import Rows
from research.shortcuts.trial import Planted, group_weights, probe, transformed
from stream.domain.features import Floats
from stream.training.corpora import Part, polarity_of_score
from stream.training.eraser.artefacts import Eraser
from stream.training.eraser.blocks import Labels

TRAINING = TrainingConfig(epochs=12, batch=256, rate=6e-3, choose="last")
"""Chosen, like the sizes of the rows, by the accuracy on development videos without a plant, seeds 0 to 3."""

Numbers = dict[str, float]


@dataclass(frozen=True, slots=True)
class Defence:
    """A row of the benchmark.

    Attributes:
        model: The variant.
        erase: Apply the eraser before the model, which gets its strata.
        weighted: Weight the four groups of label and mark equally. This is an oracle: it is given every mark.
    """

    model: VariantConfig
    erase: bool = False
    weighted: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """Accuracies on the tests, and accuracies of probes for the plant (empty if the marks are unknown)."""

    accuracies: Numbers
    probes: Numbers


def run_defence(defence: Defence, trial: Planted, eraser: Eraser | None, seed: int) -> Measured:
    """Train on the training rows of a trial and measure on its tests.

    Args:
        defence: The defence.
        trial: The rows with the plant.
        eraser: Eraser that was fitted on the training rows; None for a defence without one.
        seed: Seed of the network, the batches and the dropout.
    """
    seen = trial if eraser is None else transformed(trial, eraser)
    model = _trained(defence, trial, seen, eraser, seed)
    neutral, marks = trial.tests["neutral"], trial.neutral_marks
    if marks is None:
        return Measured(measure(model, seen), {})
    probes = {name: probe(values, marks) for name, values in readouts(model, seen.tests["neutral"]).items()}
    if eraser is not None:
        one_hot = np.eye(len(eraser.frequencies), dtype=np.float32)
        probes["strata"] = probe(one_hot[eraser.strata(neutral.blocks)], marks)
    return Measured(measure(model, seen), probes)


def _trained(defence: Defence, trial: Planted, seen: Planted, eraser: Eraser | None, seed: int) -> SentimentModel:
    strata = eraser.strata(trial.train.blocks) if eraser is not None and eraser.found else None
    weights = group_weights(trial.train.labels, trial.train_marks) if defence.weighted and trial.train_marks is not None else None
    windows = windows_of(seen.train, Part.TRAIN, strata, weights)
    config = defence.model.model_copy(update={"strata": max(defence.model.strata, windows.strata)})

    def make() -> SentimentModel:
        return build(config, windows.widths, 0, len(windows.corpus))

    return fit(make, windows, TRAINING, seed, progress=Progress(disable=True), title="")[0]


def windows_of(rows: Rows, part: Part, strata: Indices | None = None, weights: Floats | None = None) -> Windows:
    """Utterances as windows with one node for each modality and without context."""
    ids = tuple(str(index) for index in range(len(rows.scores)))
    videos = tuple(str(video) for video in rows.videos)
    corpus = Corpus(
        name="shortcut",
        ids=ids,
        groups=videos,
        order=np.arange(len(ids)),
        speakers=videos,
        parts=(part,) * len(ids),
        texts=("",) * len(ids),
        scores=rows.scores,
        polarities=np.array([polarity_of_score(float(score)) for score in rows.scores], dtype=np.int64),
        features={m: Features.of_vectors(block) for m, block in rows.blocks.items()},
    )
    return Windows(corpus, strata=strata, weights=weights)


def predictions(model: SentimentModel, rows: Rows) -> Labels:
    """(n,) predicted labels: 1 where the score is not negative."""
    windows = windows_of(rows, Part.TEST)
    return (answer(model, windows, windows.corpus.rows(Part.TEST)).scores >= 0).astype(np.int64)


def readouts(model: SentimentModel, rows: Rows) -> dict[str, Floats]:
    """(n, G) read-outs by name: ``causal``, the input of the answer, and ``shortcut`` for models that have it."""
    inputs, _ = windows_of(rows, Part.TEST).batch(np.arange(len(rows.scores)))
    with torch.no_grad():
        found = model.eval().predict(inputs).readouts
    return {{"fused": "causal"}.get(name, name): values.numpy() for name, values in found.items()}


def measure(model: SentimentModel, trial: Planted) -> Numbers:
    """Accuracy on the three tests, and on the worst group of label and mark (of label, if marks are unknown) of the neutral test."""
    results = {name: float((predictions(model, rows) == rows.labels).mean()) for name, rows in trial.tests.items()}
    neutral = trial.tests["neutral"]
    right = predictions(model, neutral) == neutral.labels
    marks = trial.neutral_marks
    groups = neutral.labels if marks is None else 2 * neutral.labels + (marks > 0)
    results["worst_group"] = min(float(right[groups == group].mean()) for group in np.unique(groups))
    return results
