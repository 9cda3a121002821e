"""Training of one variant with one seed."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from rich.progress import Progress

from research.experiments.absence import draw_missing, without
from research.experiments.calibration import Answers
from research.experiments.config import TrainingConfig
from research.experiments.corpus import Rows
from research.experiments.windows import Windows
from research.models.interface import ModelInput, SentimentModel, Targets
from research.models.text_encoder import WithTextEncoder
from stream.training.corpora import Part
from stream.training.loop import descend, moving_average
from stream.training.metrics import polarity_numbers, score_numbers

EVALUATION_BATCH = 256
TEXT_EVALUATION_BATCH = 32
WARM_UP = 0.1
"""Share of the steps in which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class History:
    """Course of a training.

    Attributes:
        losses: Mean training loss of every epoch.
        validation: Validation numbers of every epoch; empty without a validation part.
        kept: The epoch that was kept, from 1.
        seconds: Time of the training.
    """

    losses: tuple[float, ...]
    validation: tuple[dict[str, float], ...]
    kept: int
    seconds: float


def fit(
    make: Callable[[], SentimentModel], windows: Windows, config: TrainingConfig, seed: int, *, progress: Progress, title: str
) -> tuple[SentimentModel, History]:
    """Train a new model on the training part; the validation part chooses the epoch, and the test part is not used.

    Args:
        make: Builds the model with torch's global random generator, which is seeded here.
        windows: All parts of the corpus.
        config: Settings of the training.
        seed: Seed of all random choices.
        progress: Shows a progress bar.
        title: Title of the bar.
    """
    started = time.monotonic()
    torch.manual_seed(seed)
    trainer = _Trainer(make(), windows, config, seed)
    model = trainer.result
    held_out = windows.corpus.rows(Part.VALIDATION)
    bar = progress.add_task(title, total=config.epochs * trainer.steps)
    losses: list[float] = []
    validation: list[dict[str, float]] = []
    best = copy.deepcopy(model.state_dict())
    for _ in range(config.epochs):
        losses.append(trainer.epoch(lambda: progress.advance(bar)))
        if held_out.size:
            validation.append(numbers(answer(model, windows, held_out), windows, held_out))
            if kept_epoch(validation, config.choose) == len(validation):
                best = copy.deepcopy(model.state_dict())
    if held_out.size:
        model.load_state_dict(best)
    kept = kept_epoch(validation, config.choose) if held_out.size else config.epochs
    return model.eval(), History(tuple(losses), tuple(validation), kept, time.monotonic() - started)


class _Trainer:
    """A model with its optimiser, schedule and random choices.

    Attributes:
        steps: Steps of an epoch.
        result: The result of the training: the trained model, or the moving average of its weights.
    """

    def __init__(self, model: SentimentModel, windows: Windows, config: TrainingConfig, seed: int) -> None:
        self._model, self._windows, self._batch = model, windows, config.batch
        self._dropout = config.modality_dropout
        self._generator, self._rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
        self._rows = windows.corpus.rows(Part.TRAIN)
        self.steps = -(-self._rows.size // config.batch)
        self._optimiser = torch.optim.AdamW(parameter_groups(model, config), weight_decay=config.weight_decay)
        rates = [float(group["lr"]) for group in self._optimiser.param_groups]
        total = config.epochs * self.steps
        self._cycle = torch.optim.lr_scheduler.OneCycleLR(self._optimiser, rates, total_steps=total, pct_start=WARM_UP)
        self._average = moving_average(model, config.average) if config.average else None
        self.result = cast("SentimentModel", self._average.module) if self._average else model

    def epoch(self, after_step: Callable[[], None]) -> float:
        """One pass over the training windows; returns the mean loss."""
        self._model.train()
        total = 0.0
        for batch in self._windows.batches(self._windows.shuffled(self._rows, self._batch, self._rng), self._batch):
            loss = self._model.loss(*self._with_dropout(*batch), self._generator)
            descend(loss, self._model, self._optimiser, self._cycle)
            if self._average is not None:
                self._average.update_parameters(self._model)
            total += float(loss.detach())
            after_step()
        with torch.no_grad():
            for model in dict.fromkeys((self._model, self.result)):
                model.eval()
                model.after_epoch(self._windows.batches(self._rows, evaluation_batch(model)), self._generator)
        return total / self.steps

    def _with_dropout(self, inputs: ModelInput, targets: Targets) -> tuple[ModelInput, Targets]:
        """The batch after modality dropout."""
        if not self._dropout:
            return inputs, targets
        return without(inputs, draw_missing(inputs.window, self._dropout, self._generator)), targets


def parameter_groups(model: SentimentModel, config: TrainingConfig) -> list[dict[str, Any]]:
    """Parameters with their learning rates; a text encoder that is trained with the model has its own rate."""
    if not isinstance(model, WithTextEncoder):
        return [{"params": list(model.parameters()), "lr": config.rate}]
    return [
        {"params": list(model.encoder.parameters()), "lr": config.text_rate},
        {"params": list(model.inner.parameters()), "lr": config.rate},
    ]


def answer(model: SentimentModel, windows: Windows, rows: Rows) -> Answers:
    """Answer some windows, in evaluation mode."""
    model.eval()
    parts = []
    with torch.no_grad():
        for inputs, _ in windows.batches(rows, evaluation_batch(model)):
            answers = model.predict(inputs)
            parts.append((answers.score.numpy(), torch.softmax(answers.polarity, dim=-1).numpy(), answers.uncertainty.numpy()))
    return Answers(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def numbers(answers: Answers, windows: Windows, rows: Rows) -> dict[str, float]:
    """Metrics of the tables: of scores if the corpus has them, else of polarities."""
    truth = windows.corpus.scores[rows]
    if np.isnan(truth).any():
        return polarity_numbers(answers.polarity.argmax(axis=1), windows.corpus.polarities[rows])
    return score_numbers(answers.scores, truth)


def evaluation_batch(model: SentimentModel) -> int:
    """Number of windows in a batch that is answered."""
    return TEXT_EVALUATION_BATCH if isinstance(model, WithTextEncoder) else EVALUATION_BATCH


def kept_epoch(validation: list[dict[str, float]], choose: str) -> int:
    """The epoch that is kept, from 1: the last, or the earliest of those with the best validation number."""
    if choose == "last":
        return len(validation)
    values = [-own["mae"] if choose == "mae" else own["weighted_f1"] for own in validation]
    return values.index(max(values)) + 1
