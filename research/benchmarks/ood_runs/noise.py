"""Adversarial noise on features, and the radius within which a smoothed answer provably stays the same.

Both change the standardised vectors of the window itself, all modalities joined; its context stays as it is. Distances are in
standard deviations of a feature; a window has some hundred features. Test windows are a random sample of those not annotated 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from research.benchmarks.ood_runs import attack, smoothing
from research.benchmarks.ood_runs.halves import Numbers
from research.benchmarks.ood_runs.rows import Bench, mean_and_sd
from research.experiments.config import ExperimentConfig
from research.experiments.corpus import Rows
from research.experiments.windows import Windows
from research.models.interface import ModelInput, SentimentModel
from stream.domain.modality import Modality
from stream.model.nodes import Nodes, Past
from stream.training.corpora import Part

ROWS = (
    "bclstm-fusion",
    "bclstm-mmci",
    "bclstm-minilm-text-only",
    "bclstm-reviews-text-only",
    "bclstm-reviews-fusion",
    "bclstm-reviews-rgcn",
    "bclstm-reviews-mmci",
    "bclstm-reviews-mmci-cal",
    "bclstm-reviews-ours",
)
"""Rows without a file are left out."""

QUICK = ("bclstm-reviews-text-only", "bclstm-reviews-fusion")
RADII: dict[attack.Norm, tuple[float, ...]] = {"linf": (0.0, 0.02, 0.05, 0.1, 0.2), "l2": (0.0, 0.25, 0.5, 1.0, 2.0)}
ATTACKED, QUICK_ATTACKED = 200, 100
ATTACKED_SEEDS = 3
SIGMAS = (0.5, 1.0)
SMOOTHED, QUICK_SMOOTHED = 100, 40
SMOOTHED_SEEDS = 2
CURVE = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
"""Radii at which certified accuracy is reported."""


@dataclass(frozen=True, slots=True)
class Target:
    """A model and B test windows, as a function of their packed features.

    Attributes:
        model: In evaluation mode.
        inputs: The windows.
        modalities: Modalities whose features may change.
        wanted: (B,) true signs, 1 or -1.
    """

    model: SentimentModel
    inputs: ModelInput
    modalities: tuple[Modality, ...]
    wanted: Tensor

    @property
    def points(self) -> Tensor:
        """(B, D) original features."""
        return attack.packed(self.inputs.window, self.modalities)

    def margins(self, points: Tensor) -> Tensor:
        """(B, D) features of the B windows to (B,) margins."""
        return (
            self.wanted
            * self.model.predict(self.inputs._replace(window=attack.unpacked(self.inputs.window, points, self.modalities))).score
        )

    def positive(self, row: int, points: Tensor) -> Tensor:
        """(N,) True where the score is positive, for N versions (N, D) of the features of one window."""
        window = repeated(self.inputs, row, points.shape[0])
        with torch.no_grad():
            return self.model.predict(window._replace(window=attack.unpacked(window.window, points, self.modalities))).score > 0


def repeated(inputs: ModelInput, row: int, times: int) -> ModelInput:
    """Repeat one window, without copying its data."""

    def spread(values: Tensor) -> Tensor:
        return values[row : row + 1].expand(times, *values.shape[1:])

    past = inputs.past
    return ModelInput(
        {m: Nodes(*(spread(own) for own in nodes)) for m, nodes in inputs.window.items()},
        Past(
            {m: spread(own) for m, own in past.values.items()},
            {m: spread(own) for m, own in past.mask.items()},
            spread(past.lag),
            spread(past.same_speaker),
        ),
    )


def some_rows(windows: Windows, most: int) -> Rows:
    """Draw at most `most` test windows that are not annotated 0; the same for every model of a split."""
    test = windows.corpus.rows(Part.TEST)
    test = test[windows.corpus.scores[test] != 0]
    return np.sort(np.random.default_rng(0).permutation(test)[:most])


def target_of(model: SentimentModel, windows: Windows, modalities: tuple[Modality, ...], most: int) -> Target:
    """Make a target of a model and some test windows."""
    inputs, targets = windows.batch(some_rows(windows, most))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return Target(model, inputs, modalities, targets.score.sign())


def measure(bench: Bench, *, quick: bool) -> tuple[dict[str, Numbers], dict[str, Numbers]]:
    """Measure the parts ``adversarial`` and ``smoothing`` of every row."""
    adversarial: dict[str, Numbers] = {}
    smoothed: dict[str, Numbers] = {}
    for name in QUICK if quick else ROWS:
        config = bench.rows.get(name)
        if config is not None and bench.has(config):
            adversarial[name] = attacked(bench, config, QUICK_ATTACKED if quick else ATTACKED)
            smoothed[name] = certified(bench, config, QUICK_SMOOTHED if quick else SMOOTHED)
    return adversarial, smoothed


def attacked(bench: Bench, config: ExperimentConfig, most: int) -> Numbers:
    """Accuracy by norm and radius over the first seeds."""
    found: dict[str, dict[str, list[float]]] = {norm: {f"{radius:g}": [] for radius in radii} for norm, radii in RADII.items()}
    count = 0
    seeds = min(config.seeds, ATTACKED_SEEDS)
    for seed, (model, windows) in zip(range(seeds), bench.models(config), strict=False):
        target = target_of(model, windows, config.data.modalities, most)
        count = target.wanted.shape[0]
        for norm, radii in RADII.items():
            for radius in radii:
                generator = torch.Generator().manual_seed(seed)
                least = attack.least_margins(target.margins, target.points, radius, norm, generator)
                found[norm][f"{radius:g}"].append(float((least > 0).float().mean()))
    by_norm = {norm: {radius: mean_and_sd(own) for radius, own in by_radius.items()} for norm, by_radius in found.items()}
    return {**by_norm, "n": count, "seeds": seeds}


def certified(bench: Bench, config: ExperimentConfig, most: int) -> Numbers:
    """Certified accuracy and mean radius by sigma over the first seeds; the radius of a wrong or missing answer counts as 0."""
    found: Numbers = {f"{sigma:g}": [] for sigma in SIGMAS}
    count = 0
    seeds = min(config.seeds, SMOOTHED_SEEDS)
    for seed, (model, windows) in zip(range(seeds), bench.models(config), strict=False):
        target = target_of(model, windows, config.data.modalities, most)
        count = target.wanted.shape[0]
        for sigma in SIGMAS:
            answers = smoothing.certify(target.positive, target.points, sigma, torch.Generator().manual_seed(seed))
            correct = (answers.positive == (target.wanted > 0)).float().numpy()
            found[f"{sigma:g}"].append((answers.radius, correct))
    by_sigma = {}
    for name, own in found.items():
        radius, correct = (np.concatenate(part) for part in zip(*own, strict=True))
        by_sigma[name] = {
            "mean_radius": round(float((radius * correct).mean()), 4),
            "abstained": round(float((radius == 0).mean()), 4),
            "certified": smoothing.curve(radius, correct, CURVE),
        }
    return {**by_sigma, "n": count, "draws": smoothing.SAMPLES, "seeds": seeds}
