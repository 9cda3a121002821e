"""The rows of the table: each trains one defence on a trial and measures it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from stream.domain.modality import Modality
from stream.training.shortcuts.artefacts import Eraser, fit_eraser
from stream.training.shortcuts.data import Rows
from stream.training.shortcuts.networks import CausalGraph, Counterfactual, Defence, Fusion, Prototypes, Reweighted
from stream.training.shortcuts.trial import (
    Planted,
    class_prototypes,
    group_weights,
    measure,
    probe,
    tensors,
    train,
    transformed,
    widths,
)

Numbers = dict[str, float]


@dataclass
class Trial:
    """One plant at one p and seed, beside the same rows without a plant.

    Attributes:
        seed: Of networks, batches and dropout.
        planted: The trial.
        unplanted: The same without a plant.
    """

    seed: int
    planted: Planted
    unplanted: Planted
    _eraser: Eraser | None = field(default=None, init=False)

    @property
    def eraser(self) -> Eraser:
        """Fitted on the planted training rows once for all rows that use it."""
        if self._eraser is None:
            self._eraser = fit_eraser(self.planted.train)
        return self._eraser


@dataclass(frozen=True, slots=True)
class Measured:
    """Accuracies, and how well the plant can be read from the read-outs (empty where the plant's marks are not known)."""

    accuracies: Numbers
    probes: dict[str, float]


Row = Callable[[Trial], Measured]


def _run(trial: Trial, data: Planted, build: Callable[[Rows], Defence], *, weighted: bool = False) -> Measured:
    torch.manual_seed(trial.seed)
    network = build(data.train)
    weights = group_weights(data.train.labels, data.train_marks) if weighted and data.train_marks is not None else None
    train(network, data, trial.seed, weights)
    return Measured(measure(network, data), _probes(network, data))


def _probes(network: Defence, data: Planted) -> dict[str, float]:
    if data.neutral_marks is None:
        return {}
    with torch.no_grad():
        readouts = network.readouts(tensors(data.tests["neutral"]))
    return {name: probe(values.numpy(), data.neutral_marks) for name, values in readouts.items()}


def _fusion(rows: Rows) -> Defence:
    return Fusion(widths(rows))


def _graph(rows: Rows) -> Defence:
    return CausalGraph(widths(rows))


def _text_only(trial: Trial) -> Measured:
    return _run(trial, transformed(trial.planted, lambda blocks: {Modality.TEXT: blocks[Modality.TEXT]}), _fusion)


def _unplanted(trial: Trial) -> Measured:
    measured = _run(trial, trial.unplanted, _fusion)
    return replace(measured, probes={})


def _behind_eraser(build: Callable[[Rows], Defence]) -> Row:
    def row(trial: Trial) -> Measured:
        measured = _run(trial, transformed(trial.planted, trial.eraser), build)
        marks = trial.planted.neutral_marks
        strata = trial.eraser.strata(trial.planted.tests["neutral"].blocks)
        shortcut = {} if marks is None else {"shortcut": probe(np.eye(len(trial.eraser.frequencies), dtype=np.float32)[strata], marks)}
        return replace(measured, probes=measured.probes | shortcut)

    return row


ROWS: dict[str, Row] = {
    "ours": _behind_eraser(_fusion),
    "ours_mmci": _behind_eraser(_graph),
    "erm": lambda trial: _run(trial, trial.planted, _fusion),
    "text_only": _text_only,
    "unplanted": _unplanted,
    "group_reweighting": lambda trial: _run(trial, trial.planted, _fusion, weighted=True),
    "mmci_cal": lambda trial: _run(trial, trial.planted, _graph),
    "cider": lambda trial: _run(trial, trial.planted, lambda rows: Prototypes(widths(rows), *class_prototypes(rows))),
    "gear": lambda trial: _run(trial, trial.planted, lambda rows: Reweighted(widths(rows))),
    "clue": lambda trial: _run(trial, trial.planted, lambda rows: Counterfactual(widths(rows))),
}
"""Name to row; all but ``ours`` and ``ours_mmci`` are references. ``group_reweighting`` is told the marks: an oracle."""

FEW_ROWS = ("ours", "erm", "text_only", "unplanted")
