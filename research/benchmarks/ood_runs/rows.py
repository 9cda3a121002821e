"""The rows of the benchmark: their experiments, the rows with which they are compared, and their finished seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from rich.progress import Progress

from research.benchmarks.ood_runs.halves import HeldOut, Numbers
from research.experiments.config import SERVED, ExperimentConfig, read_config
from research.experiments.mosi import read_mosi
from research.experiments.run import Folders, is_finished, read_corpus, run, trained
from research.experiments.store import Store
from research.experiments.windows import Windows
from research.models.interface import SentimentModel
from stream.config.project import PROJECT_ROOT
from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.training.corpora import Part

CONFIGS = PROJECT_ROOT / "research" / "configs"
TABLES = ("bclstm", "std")

ERM = {
    "bclstm given": "bclstm-fusion",
    "bclstm minilm": "bclstm-minilm-late-fusion",
    "bclstm served": "bclstm-reviews-fusion",
    "std minilm": "std-minilm-late-fusion",
    "std served": "std-fusion",
}
"""For each family (a split and a kind of text), the plainly trained row with which the others are compared."""

QUICK_SEEDS = 2
DROPOUT = 0.2
"""Probability of modality dropout in the rows ``…-gaps``; set once."""


def every_row() -> dict[str, ExperimentConfig]:
    """All experiments on CMU-MOSI by name."""
    found = [read_config(file) for table in TABLES for file in sorted((CONFIGS / table).glob("*.yaml"))]
    return {config.name: config for config in found}


def family(config: ExperimentConfig) -> str:
    """Split and kind of text; rows of one family have the same text."""
    text = SERVED if config.data.text == "minilm" and config.data.text_start == SERVED else config.data.text
    return f"{config.data.split} {text}"


def role(config: ExperimentConfig) -> str:
    """``erm``, ``ours``, or empty."""
    if config.name in ERM.values():
        return "erm"
    return "ours" if config.name.endswith("-ours") else ""


def without_modality(config: ExperimentConfig, modality: Modality) -> ExperimentConfig:
    """The same experiment without a modality."""
    rest = tuple(m for m in config.data.modalities if m is not modality)
    return renamed(config, f"without-{modality}", data={"modalities": rest})


def alone(config: ExperimentConfig, modality: Modality) -> ExperimentConfig:
    """The same experiment with one modality."""
    return renamed(config, f"only-{modality}", data={"modalities": (modality,)})


def with_gaps(config: ExperimentConfig) -> ExperimentConfig:
    """The same experiment trained with modality dropout."""
    return renamed(config, "gaps", training={"modality_dropout": DROPOUT})


def renamed(config: ExperimentConfig, suffix: str, **changes: Mapping[str, Any]) -> ExperimentConfig:
    """Change some values of an experiment's sections, and add a suffix to its name."""
    sections = {name: getattr(config, name).model_copy(update=dict(values)) for name, values in changes.items()}
    return config.model_copy(update=sections | {"name": f"{config.name}-{suffix}"})


@dataclass(frozen=True)
class Bench:
    """The experiments and their finished seeds; missing seeds are trained.

    Attributes:
        folders: Folders of data and runs.
        progress: Shows progress bars.
        seeds: Most seeds of each row; 0 for the number in its configuration.
        train: Train missing seeds; else rows that are not finished are left out.
    """

    folders: Folders
    progress: Progress
    seeds: int = 0
    train: bool = True

    @cached_property
    def rows(self) -> dict[str, ExperimentConfig]:
        """All experiments with at most `seeds` seeds."""
        return {name: self.limited(config) for name, config in every_row().items()}

    def limited(self, config: ExperimentConfig) -> ExperimentConfig:
        """The experiment with at most `seeds` seeds."""
        return config.model_copy(update={"seeds": min(config.seeds, self.seeds)}) if self.seeds else config

    def has(self, config: ExperimentConfig) -> bool:
        """Whether every seed is finished, after training if that is allowed."""
        store = Store(self.folders.runs, config)
        if is_finished(config, self.folders) and all(store.checkpoint(seed).is_file() for seed in range(config.seeds)):
            return True
        if not self.train:
            return False
        run(config, self.folders, self.progress)
        return True

    def scores(self, config: ExperimentConfig) -> Floats:
        """(S, n) test scores of finished seeds."""
        reports = [Store(self.folders.runs, config).report(seed) for seed in range(config.seeds)]
        return np.array([report["scores"] for report in reports if report is not None], dtype=np.float32)

    def models(self, config: ExperimentConfig) -> Iterator[tuple[SentimentModel, Windows]]:
        """The model and the windows of every finished seed."""
        for seed in range(config.seeds):
            corpus = read_corpus(config.data, self.folders, self.progress, seed)
            yield trained(config, corpus, seed, self.folders)

    @cached_property
    def tests(self) -> dict[str, HeldOut]:
        """The test windows of each split."""
        found = {}
        for table in TABLES:
            corpus = read_mosi(self.folders.data, "std" if table == "std" else "bclstm")
            rows = corpus.rows(Part.TEST)
            found[table] = HeldOut(tuple(corpus.ids[row] for row in rows), tuple(corpus.groups[row] for row in rows), corpus.scores[rows])
        return found


def mean_and_sd(values: list[float]) -> Numbers:
    """Mean and sample standard deviation (0 for one seed) over seeds."""
    return {"mean": round(float(np.mean(values)), 4), "sd": round(float(np.std(values, ddof=1)) if len(values) > 1 else 0.0, 4)}
