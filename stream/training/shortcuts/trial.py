"""One trial: plant a shortcut, train a defence on the biased rows, measure it where the shortcut agrees, does not matter, and disagrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.training.shortcuts.data import Blocks, Labels, Parts, Rows
from stream.training.shortcuts.networks import Defence, Inputs
from stream.training.shortcuts.plants import Agreement, Plant, Watermark

EPOCHS = 25
BATCH = 128
RATE, WEIGHT_DECAY = 2e-3, 0.01

Transform = Callable[[Blocks], Blocks]


@dataclass(frozen=True, slots=True)
class Planted:
    """The parts of a trial.

    Attributes:
        train: Biased: the shortcut agrees with the label with probability p.
        development: Biased alike; the epoch is chosen on it.
        tests: The test rows with agreement p (``id``), .5 (``neutral``) and 1 - p (``flipped``).
        train_marks: (n,) s of the training rows, -1 or 1; None where the plant does not tell. For oracles only.
        neutral_marks: Likewise of the neutral test rows. For worst groups and probes only.
    """

    train: Rows
    development: Rows
    tests: dict[str, Rows]
    train_marks: Floats | None
    neutral_marks: Floats | None


def planted(parts: Parts, plant: Plant | None, p: float, seed: int) -> Planted:
    """Plant a shortcut into every part; None plants nothing."""

    def mark(rows: Rows, agreement: float) -> tuple[Rows, Floats | None]:
        if plant is None:
            return rows, None
        rng = np.random.default_rng((seed, 5))
        if isinstance(plant, Watermark | Agreement):
            blocks, marks = plant.marked(rows.blocks, rows.labels, rng, agreement)
            return replace(rows, blocks=blocks), marks
        return replace(rows, blocks=plant(dict(rows.blocks), rows.labels, rng, agreement)), None

    train, train_marks = mark(parts.train, p)
    neutral, neutral_marks = mark(parts.test, 0.5)
    tests = {"id": mark(parts.test, p)[0], "neutral": neutral, "flipped": mark(parts.test, 1 - p)[0]}
    return Planted(train, mark(parts.development, p)[0], tests, train_marks, neutral_marks)


def transformed(trial: Planted, transform: Transform) -> Planted:
    """The same trial with every part's features transformed."""

    def apply(rows: Rows) -> Rows:
        return replace(rows, blocks=transform(rows.blocks))

    return replace(
        trial,
        train=apply(trial.train),
        development=apply(trial.development),
        tests={name: apply(rows) for name, rows in trial.tests.items()},
    )


def group_weights(labels: Labels, marks: Floats) -> Floats:
    """(n,) weights with which the four groups of label and mark count alike; mean 1."""
    group = 2 * labels + (marks > 0)
    weights = 1.0 / np.maximum(np.bincount(group, minlength=4), 3)[group]
    return np.asarray(weights / weights.mean(), dtype=np.float32)


def train(network: Defence, trial: Planted, seed: int, weights: Floats | None = None) -> None:
    """Train in place with AdamW; leaves the network at the epoch with the best accuracy on the (biased) development rows.

    Args:
        network: What is trained.
        trial: Its training and development rows are used, nothing else.
        seed: Of batches and dropout.
        weights: (n,) of the training rows.
    """
    torch.manual_seed(seed)
    inputs, labels = tensors(trial.train), torch.from_numpy(trial.train.labels)
    of_rows = torch.ones(labels.shape[0]) if weights is None else torch.from_numpy(weights)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
    best, kept = -1.0, {name: value.clone() for name, value in network.state_dict().items()}
    for _ in range(EPOCHS):
        network.train()
        order = torch.randperm(labels.shape[0])
        for start in range(0, labels.shape[0], BATCH):
            chosen = order[start : start + BATCH]
            loss = network.loss({m: x[chosen] for m, x in inputs.items()}, labels[chosen], of_rows[chosen])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        accuracy = float((predictions(network, trial.development) == trial.development.labels).mean())
        if accuracy > best:
            best, kept = accuracy, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)
    network.eval()


def predictions(network: Defence, rows: Rows) -> Labels:
    """(n,) predicted labels."""
    network.eval()
    with torch.no_grad():
        return network.logits(tensors(rows)).argmax(dim=1).numpy()


def measure(network: Defence, trial: Planted) -> dict[str, float]:
    """Accuracy on the three tests, and of the worst group of label and mark on the neutral one (of label, where marks are not known)."""
    results = {name: float((predictions(network, rows) == rows.labels).mean()) for name, rows in trial.tests.items()}
    neutral = trial.tests["neutral"]
    right = predictions(network, neutral) == neutral.labels
    marks = trial.neutral_marks
    groups = neutral.labels if marks is None else 2 * neutral.labels + (marks > 0)
    results["worst_group"] = min(float(right[groups == group].mean()) for group in np.unique(groups))
    return results


def probe(features: Floats, marks: Floats) -> float:
    """Accuracy of a ridge classifier of marks from (n, G) read-outs, trained on every other row and tested on the rest.

    The plant cannot be read where this is near .5.
    """
    scaled = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)
    learn = np.arange(marks.shape[0]) % 2 == 0
    known = scaled[learn]
    weights = np.linalg.solve(known.T @ known + 10.0 * np.eye(known.shape[1]), known.T @ marks[learn])
    return float((np.sign(scaled[~learn] @ weights) == marks[~learn]).mean())


def tensors(rows: Rows) -> Inputs:
    """Features as the networks take them."""
    return {m: torch.from_numpy(block) for m, block in rows.blocks.items()}


def widths(rows: Rows) -> dict[Modality, int]:
    """Width of every modality."""
    return {m: block.shape[1] for m, block in rows.blocks.items()}


def class_prototypes(rows: Rows) -> tuple[Inputs, Tensor]:
    """Mean row and share of each class."""
    means = {m: torch.from_numpy(np.stack([block[rows.labels == k].mean(axis=0) for k in range(2)])) for m, block in rows.blocks.items()}
    return means, torch.tensor([1.0 - float(rows.labels.mean()), float(rows.labels.mean())])
