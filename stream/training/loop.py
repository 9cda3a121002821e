"""The training loop of the face encoder: optimiser, schedule, averaged weights, progress, state on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

HIGHEST_GRADIENT = 1.0
VALIDATE_EVERY = 5
"""Epochs between two validations; the last epoch is always validated."""

Indices = npt.NDArray[np.int64]
BatchLoss = Callable[[Indices, np.random.Generator, torch.Generator, int], Tensor]
"""Loss of a batch from the indices of its items, two random generators, and the epoch."""

EpochLosses = Callable[[int], Iterator[Tensor]]
"""Losses of the batches of an epoch. Its random choices must depend only on the epoch, so that training can be resumed."""

Validations = tuple[tuple[int, float], ...]
"""Validation values of the averaged weights, with their epochs from 1."""

WARM_UP, DECAY = 0.04, 0.5
"""Shares of the training in which the learning rate rises from 0, at the start, and falls to 0, at the end."""

AVERAGED = 0.04
"""Share of the training over which weights are averaged: the time constant of the exponential average."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        epochs: Passes over the data.
        steps: Batches of a pass.
        peak_rate: Highest learning rate.
        weight_decay: Weight decay of AdamW.
    """

    epochs: int
    steps: int
    peak_rate: float
    weight_decay: float = 0.05

    @property
    def averaging(self) -> float:
        """Decay of the average in a step."""
        return 1.0 - 1.0 / max(1.0, AVERAGED * self.epochs * self.steps)

    def rate(self, step: int) -> float:
        """Learning rate of a step as a share of the peak rate: it rises linearly, stays, and falls linearly."""
        done = (step + 1) / (self.epochs * self.steps + 1)
        return min(done / WARM_UP, 1.0, (1.0 - done) / DECAY)


@dataclass(frozen=True, slots=True)
class _State:
    """Everything that changes during training."""

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
        """Returns the number of finished epochs, 0 if the file is of another schedule."""
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
    losses: EpochLosses,
    validate: Callable[[nn.Module], float],
    schedule: Schedule,
    *,
    progress: Progress,
    title: str,
    state: Path | None = None,
) -> Validations:
    """Train with AdamW; afterwards `module` has the exponential average of its weights (Polyak averaging).

    No epoch is chosen by its validation value: a schedule that ends at rate 0 makes a choice unnecessary, and on a small
    validation part the choice would be by chance.

    Args:
        module: The network, which is trained in place.
        losses: Yields the loss of every batch of an epoch.
        validate: Returns the value of a module on validation data, for the report.
        schedule: Length and learning rates.
        progress: Shows a progress bar.
        title: Title of the bar.
        state: File of the state after each epoch. If it exists and has the same schedule, training resumes from it.
    """
    optimiser = torch.optim.AdamW(module.parameters(), lr=schedule.peak_rate, weight_decay=schedule.weight_decay)
    averaged = moving_average(module, schedule.averaging, buffers=True)
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
    return tuple(kept.values)


def moving_average(module: nn.Module, decay: float, *, buffers: bool = False) -> AveragedModel:
    """A copy of a module whose weights are the exponential moving average of the module's.

    Args:
        module: The module that is trained.
        decay: Decay of the average in a step.
        buffers: Average the buffers too; else they are copied at each step.
    """
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=buffers)  # type: ignore[no-untyped-call]


def epoch_losses(loss: BatchLoss, items: int, batch: int, seed: int) -> EpochLosses:
    """Losses of shuffled batches; an incomplete last batch is left out, unless it is the only one."""

    def losses(epoch: int) -> Iterator[Tensor]:
        rng, generator = np.random.default_rng([seed, epoch]), torch.Generator().manual_seed(seed + 1_000 * epoch)
        order = rng.permutation(items)
        for start in range(0, max(1, items // batch) * batch, batch):
            yield loss(order[start : start + batch], rng, generator, epoch)

    return losses


def descend(loss: Tensor, module: nn.Module, optimiser: torch.optim.Optimizer, rates: torch.optim.lr_scheduler.LRScheduler) -> None:
    """Make one step of gradient descent; the norm of the gradient is clipped to `HIGHEST_GRADIENT`."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(module.parameters(), HIGHEST_GRADIENT)
    optimiser.step()
    rates.step()


def low_precision() -> AbstractContextManager[object]:
    """A context with bfloat16 arithmetic where that is faster, else with float32.

    bfloat16 is twice as fast on AMD processors with AVX-512 BF16. On Intel processors it is faster only with AMX, and slower
    without it; so AVX-512 BF16 alone does not suffice there.
    """
    features = torch.cpu.get_capabilities()
    if features.get("amx_bf16", False) or (features.get("avx512_bf16", False) and "AMD" in str(features.get("cpu_name", ""))):
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()


def _pass(kept: _State, losses: Iterator[Tensor], progress: Progress, bar: Any) -> None:
    kept.module.train()
    for loss in losses:
        descend(loss, kept.module, kept.optimiser, kept.cycle)
        kept.averaged.update_parameters(kept.module)
        progress.advance(bar)
