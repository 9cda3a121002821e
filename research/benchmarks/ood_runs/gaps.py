"""A modality that is missing or noised at test: accuracy by amount, compared with a model that never had the modality.

The rows have given or frozen vectors. Each is measured as it is and, under ``…-gaps``, trained with modality dropout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from research.benchmarks.ood_runs import corruption
from research.benchmarks.ood_runs.halves import Numbers, right
from research.benchmarks.ood_runs.rows import Bench, mean_and_sd, with_gaps, without_modality
from research.experiments.config import ExperimentConfig
from research.experiments.corpus import Corpus
from research.experiments.fit import answer
from research.experiments.windows import Windows
from research.models.interface import SentimentModel
from stream.domain.modality import Modality
from stream.training.corpora import Part

ROWS = ("bclstm-late-fusion", "bclstm-minilm-late-fusion", "bclstm-reviews-fusion", "bclstm-reviews-mmci", "bclstm-reviews-ours")
"""Rows without a file are left out."""

QUICK = ("bclstm-reviews-fusion",)
CONVENTION = "acc2_non0"
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
DEVIATIONS = (0.0, 0.5, 1.0, 2.0, 4.0)
GOAL = 0.95
"""Least share of the accuracy of the model that was trained without the modality."""

Corrupt = Callable[[Corpus, Modality, float, int], Corpus]
Curves = dict[Modality, dict[float, list[float]]]
"""Accuracies of the seeds by modality and amount."""


def measure(bench: Bench, *, quick: bool) -> tuple[dict[str, Numbers], dict[str, Numbers]]:
    """Measure the parts ``dropped`` and ``noised`` of every row."""
    dropped: dict[str, Numbers] = {}
    noised: dict[str, Numbers] = {}
    for name in QUICK if quick else ROWS:
        config = bench.rows.get(name)
        if config is None:
            continue
        never = {m: without_modality(config, m) for m in config.data.modalities}
        if not all(bench.has(own) for own in never.values()):
            continue
        without = {m: _accuracy_without(bench, own) for m, own in never.items()}
        for row in (config, with_gaps(config)) if not config.training.modality_dropout else (config,):
            if bench.has(row):
                by_share, by_deviation = _curves(bench, row)
                dropped[row.name] = numbers(by_share, without) | {"seeds": row.seeds}
                noised[row.name] = numbers(by_deviation, without) | {"seeds": row.seeds}
    return dropped, noised


def numbers(curves: Curves, without: Mapping[Modality, float]) -> Numbers:
    """Curve, area and goal of each modality; ``of_without`` is the worst point divided by the accuracy of the model without it."""
    found: Numbers = {}
    for modality, by_amount in curves.items():
        curve = {amount: float(np.mean(own)) for amount, own in by_amount.items()}
        worst = min(curve.values())
        found[str(modality)] = {
            "accuracy": {f"{amount:g}": round(value, 4) for amount, value in curve.items()},
            "sd": {f"{amount:g}": mean_and_sd(own)["sd"] for amount, own in by_amount.items()},
            "area": round(corruption.area(curve), 4),
            "without": round(without[modality], 4),
            "of_without": round(worst / without[modality], 4),
            "reached": worst >= GOAL * without[modality],
        }
    return found


def _curves(bench: Bench, config: ExperimentConfig) -> tuple[Curves, Curves]:
    kinds: tuple[tuple[Corrupt, tuple[float, ...]], ...] = ((corruption.dropped, SHARES), (corruption.noised, DEVIATIONS))
    found: tuple[Curves, ...] = tuple({m: {amount: [] for amount in amounts} for m in config.data.modalities} for _, amounts in kinds)
    for seed, (model, windows) in enumerate(bench.models(config)):
        whole = accuracy(model, windows)
        for (corrupt, amounts), curves in zip(kinds, found, strict=True):
            for modality in config.data.modalities:
                for amount in amounts:
                    seen = Windows(corrupt(windows.corpus, modality, amount, seed), past=config.data.past) if amount else windows
                    curves[modality][amount].append(accuracy(model, seen) if amount else whole)
    return found[0], found[1]


def _accuracy_without(bench: Bench, config: ExperimentConfig) -> float:
    return float(np.mean([accuracy(model, windows) for model, windows in bench.models(config)]))


def accuracy(model: SentimentModel, windows: Windows) -> float:
    """Accuracy of the sign on the test part, without windows annotated 0."""
    rows = windows.corpus.rows(Part.TEST)
    truth = windows.corpus.scores[rows]
    return float(right(answer(model, windows, rows).scores[None], truth, CONVENTION)[0][truth != 0].mean())
