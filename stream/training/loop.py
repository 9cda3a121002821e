"""What the two encoders' training loops share: optimiser, schedule, progress, checkpoint in memory."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from rich.progress import Progress
from torch import Tensor, nn

Batches = Callable[[int], Iterator[Tensor]]
"""Epoch to the losses of its batches."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        epochs: Passes over the data.
        steps: Batches a pass.
        peak_rate: Highest learning rate of the one-cycle schedule.
        weight_decay: Of AdamW.
    """

    epochs: int
    steps: int
    peak_rate: float
    weight_decay: float = 0.02


@dataclass(frozen=True, slots=True)
class Fit:
    """How training went: the epoch whose validation value was highest, all values, and seconds."""

    best_epoch: int
    validation: tuple[float, ...]
    seconds: float


def train(module: nn.Module, losses: Batches, validate: Callable[[], float], schedule: Schedule, *, progress: Progress, title: str) -> Fit:
    """Train with AdamW and a one-cycle schedule; leave ``module`` at the epoch with the highest validation value.

    Args:
        module: What is trained, in place.
        losses: Yields the loss of every batch of an epoch.
        validate: Value of the module on validation data, higher is better.
        schedule: Lengths and rates.
        progress: Shows a bar.
        title: Name of the bar.
    """
    started = time.monotonic()
    optimiser = torch.optim.AdamW(module.parameters(), lr=schedule.peak_rate, weight_decay=schedule.weight_decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, schedule.peak_rate, epochs=schedule.epochs, steps_per_epoch=schedule.steps)
    bar = progress.add_task(title, total=schedule.epochs * schedule.steps)
    values: list[float] = []
    best = copy.deepcopy(module.state_dict())
    for epoch in range(schedule.epochs):
        module.train()
        for loss in losses(epoch):
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            cycle.step()
            progress.advance(bar)
        module.eval()
        with torch.no_grad():
            values.append(validate())
        progress.update(bar, description=f"{title} [dim]validation {values[-1]:.4f}[/]")
        if values[-1] == max(values):
            best = copy.deepcopy(module.state_dict())
    module.load_state_dict(best)
    module.eval()
    return Fit(values.index(max(values)) + 1, tuple(values), time.monotonic() - started)
