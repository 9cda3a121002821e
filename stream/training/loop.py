"""What the two encoders' training loops share: optimiser, schedule, weight averaging, progress, state on disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

VALIDATE_EVERY = 5
"""Epochs; the last one is always validated."""

Batches = Callable[[int], Iterator[Tensor]]
"""Epoch to the losses of its batches; what it draws must follow from the epoch alone, so that training can be taken up again."""

WARM_UP = 0.04
DECAY = 0.5
"""Parts of the training in which the learning rate rises from 0 at the start and falls to 0 at the end."""

AVERAGED = 0.04
"""Part of the training over which weights are averaged: one over it is what a step weighs in the exponential average."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        epochs: Passes over the data.
        steps: Batches a pass.
        peak_rate: Highest learning rate.
        weight_decay: Of AdamW.
    """

    epochs: int
    steps: int
    peak_rate: float
    weight_decay: float = 0.05

    @property
    def averaging(self) -> float:
        """Decay of the average at a step."""
        return 1.0 - 1.0 / max(1.0, AVERAGED * self.epochs * self.steps)

    def rate(self, step: int) -> float:
        """Share of the peak rate at a step: up, level, down (each part linear)."""
        done = (step + 1) / (self.epochs * self.steps + 1)
        return min(done / WARM_UP, 1.0, (1.0 - done) / DECAY)


@dataclass(frozen=True, slots=True)
class Fit:
    """How training went: epochs (from 1) with the averaged weights' validation value, and seconds of this process."""

    validation: tuple[tuple[int, float], ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class _State:
    """All that training changes."""

    module: nn.Module
    averaged: AveragedModel
    optimiser: torch.optim.Optimizer
    cycle: torch.optim.lr_scheduler.LRScheduler
    schedule: Schedule
    values: list[tuple[int, float]]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        parts: dict[str, Any] = {name: part.state_dict() for name, part in self._parts().items()}
        torch.save(parts | {"schedule": asdict(self.schedule), "values": self.values, "chance": torch.get_rng_state()}, draft)
        os.replace(draft, path)

    def load(self, path: Path) -> int:
        """Returns the number of epochs that were done; none if the file is of another schedule."""
        stored = torch.load(path, weights_only=True)
        if stored["schedule"] != asdict(self.schedule):
            return 0
        for name, part in self._parts().items():
            part.load_state_dict(stored[name])
        torch.set_rng_state(stored["chance"])
        self.values.extend(stored["values"])
        return int(self.cycle.last_epoch) // self.schedule.steps

    def _parts(self) -> dict[str, Any]:
        return {"module": self.module, "averaged": self.averaged, "optimiser": self.optimiser, "cycle": self.cycle}


def train(
    module: nn.Module,
    losses: Batches,
    validate: Callable[[nn.Module], float],
    schedule: Schedule,
    *,
    progress: Progress,
    title: str,
    state: Path | None = None,
) -> Fit:
    """Train with AdamW; leave in ``module`` the exponential average of its weights (Polyak) after the last epoch.

    No epoch is chosen by its validation value: a schedule that ends at rate 0 needs no choice, and a small validation part
    would choose by chance.

    Args:
        module: What is trained, in place.
        losses: Yields the loss of every batch of an epoch.
        validate: Value of a module on validation data, for the report.
        schedule: Lengths and rates.
        progress: Shows a bar.
        title: Name of the bar.
        state: File that keeps the state after each epoch; if it is there and of the same schedule, training goes on from it.
    """
    started = time.monotonic()
    optimiser = torch.optim.AdamW(module.parameters(), lr=schedule.peak_rate, weight_decay=schedule.weight_decay)
    average = get_ema_multi_avg_fn(schedule.averaging)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(module, multi_avg_fn=average, use_buffers=True)
    kept = _State(module, averaged, optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, schedule.rate), schedule, [])
    done = kept.load(state) if state is not None and state.is_file() else 0
    bar = progress.add_task(title, total=schedule.epochs * schedule.steps, completed=done * schedule.steps)
    for epoch in range(done, schedule.epochs):
        _pass(kept, losses(epoch), progress, bar)
        if (schedule.epochs - epoch - 1) % VALIDATE_EVERY == 0:
            averaged.eval()
            with torch.no_grad():
                kept.values.append((epoch + 1, validate(averaged.module)))
            progress.update(bar, description=f"{title} [dim]validation {kept.values[-1][1]:.4f}[/]")
        if state is not None:
            kept.save(state)
    module.load_state_dict(averaged.module.state_dict())
    module.eval()
    return Fit(tuple(kept.values), time.monotonic() - started)


def _pass(kept: _State, losses: Iterator[Tensor], progress: Progress, bar: Any) -> None:
    kept.module.train()
    for loss in losses:
        kept.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(kept.module.parameters(), 1.0)
        kept.optimiser.step()
        kept.cycle.step()
        kept.averaged.update_parameters(kept.module)
        progress.advance(bar)
