"""The value of other speakers' lines: MELD's dialogues with real, exchanged and absent lines of other speakers in the context.

Each condition is used in training and test. ``heard_at_test`` has another context at test only, with the model of the real one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from research.benchmarks.ood_runs.bootstrap import Doubles, Draws, interval
from research.benchmarks.ood_runs.halves import Numbers
from research.benchmarks.ood_runs.rows import CONFIGS, Bench, mean_and_sd, renamed
from research.experiments.config import ExperimentConfig, read_config
from research.experiments.corpus import Corpus, Rows
from research.experiments.fit import answer
from research.experiments.windows import Windows
from stream.training.corpora import Part
from stream.training.metrics import f1_scores

ROWS = ("mmci", "rgcn")
QUICK: tuple[str, ...] = ("rgcn",)
REAL = "real"
CONDITIONS = (REAL, "shuffled", "none", "no past")
CLASSES = 3
F1 = ("macro_f1", "weighted_f1")


def measure(bench: Bench, *, quick: bool) -> dict[str, Numbers]:
    """Measure every row under every condition, and its differences from the real context."""
    found = {}
    for name in QUICK if quick else ROWS:
        config = bench.limited(row_of(name))
        configs = {condition: conditioned(config, condition) for condition in CONDITIONS}
        if all(bench.has(own) for own in configs.values()):
            found[config.name] = _row(bench, configs)
    return found


def row_of(name: str) -> ExperimentConfig:
    """One of the experiments on MELD."""
    return read_config(CONFIGS / "meld" / f"{name}.yaml")


def conditioned(config: ExperimentConfig, condition: str) -> ExperimentConfig:
    """The experiment under one condition."""
    if condition == REAL:
        return config
    if condition == "no past":
        return renamed(config, "no-past", data={"past": 0})
    return renamed(config, f"others-{condition}", data={"past_of_others": condition})


def _row(bench: Bench, configs: dict[str, ExperimentConfig]) -> Numbers:
    answers: dict[str, list[Rows]] = {condition: [] for condition in configs}
    at_test: dict[str, list[Rows]] = {condition: [] for condition in CONDITIONS if condition != REAL}
    truth, groups = np.zeros(0, np.int64), list[str]()
    for condition, config in configs.items():
        for seed, (model, windows) in enumerate(bench.models(config)):
            rows = windows.corpus.rows(Part.TEST)
            truth, groups = windows.corpus.polarities[rows], [windows.corpus.groups[row] for row in rows]
            answers[condition].append(answer(model, windows, rows).polarity.argmax(axis=1))
            if condition == REAL:
                for other, found in at_test.items():
                    found.append(answer(model, windows_under(windows.corpus, config, other, seed), rows).polarity.argmax(axis=1))
    draws = Draws(groups)
    return {
        **{condition: numbers(own, truth, draws, answers[REAL] if condition != REAL else None) for condition, own in answers.items()},
        "heard_at_test": {condition: numbers(own, truth, draws, answers[REAL]) for condition, own in at_test.items()},
        "seeds": configs[REAL].seeds,
        "n": int(truth.size),
    }


def windows_under(corpus: Corpus, config: ExperimentConfig, condition: str, seed: int) -> Windows:
    """Windows of a standardised corpus under a condition other than that of the training."""
    data = conditioned(config, condition).data
    return Windows(corpus, past=data.past, others=data.past_of_others, seed=seed)


def numbers(answers: Sequence[Rows], truth: Rows, draws: Draws, real: Sequence[Rows] | None) -> Numbers:
    """F1 over seeds; with the answers under the real context also the gain (real - this) with its paired interval."""
    found: Numbers = {}
    for index, name in enumerate(F1):
        found[name] = mean_and_sd([f1_scores(own, truth)[index] for own in answers])
        drawn = drawn_f1(answers, truth, draws)[name]
        found[name]["interval"] = interval(drawn)
        if real is not None:
            gain = np.mean([f1_scores(own, truth)[index] for own in real]) - found[name]["mean"]
            found[name]["real_gains"] = round(float(gain), 4)
            found[name]["real_gains_interval"] = interval(drawn_f1(real, truth, draws)[name] - drawn)
    return found


def drawn_f1(answers: Sequence[Rows], truth: Rows, draws: Draws) -> dict[str, Doubles]:
    """(D,) macro and weighted F1 in every draw of dialogues, mean over seeds."""
    eye = np.eye(CLASSES)
    real = draws.totals(eye[truth])
    macro, weighted = [], []
    for own in answers:
        hits, named = draws.totals(eye[truth] * (own == truth)[:, None]), draws.totals(eye[own])
        scores = 2.0 * hits / np.maximum(named + real, 1.0)
        macro.append(scores.mean(axis=1))
        weighted.append((scores * real).sum(axis=1) / real.sum(axis=1))
    return dict(zip(F1, (np.mean(macro, axis=0), np.mean(weighted, axis=0)), strict=True))
