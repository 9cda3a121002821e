"""What an experiment's YAML file may say. Unknown keys are errors; ``extends: FILE`` starts from another file's values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from research.experiments.corpus import PastOfOthers
from research.models.variants import Variant, VariantConfig
from stream.domain.modality import MODALITIES, Modality
from stream.training.config import read_yaml, validated
from stream.training.errors import TrainingError

SERVED = "served"
"""In place of an experiment whose text encoder is used: the live models' own."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


Option = TypeVar("Option")


def _unless(default: Option) -> Any:
    """A field that is dumped only where it differs: seeds that were trained before the option existed stay finished."""
    return Field(default, exclude_if=lambda value: value == default)


class DataConfig(_Section):
    """Which windows a model sees, and what of them.

    Attributes:
        corpus: ``mosi``, ``meld`` (text only), or ``mmsa`` for a pickle that you own.
        split: MOSI's split.
        file: The MMSA pickle.
        score_limit: Largest size of the pickle's scores.
        modalities: Those that are used.
        text: ``given`` (the corpus's vectors), ``minilm`` (the mean state of frozen MiniLM), or ``trained`` (MiniLM trained along).
        text_start: With ``minilm`` and ``trained``: whose encoder is used, or is the start: an experiment's, ``served`` for the
            live one, empty for MiniLM as it comes.
        text_context: With ``minilm`` and ``trained``: a text node for each number, the window with so many earlier utterances put
            before it.
        past: Past windows a model may hear.
        past_of_others: Other speakers' past windows: ``real``, ``shuffled`` (exchanged for lines of other dialogues), or ``none``.
        future: Later windows too: only for offline rows, marked as such.
        erase: Find artefacts in the training windows and take them out of every window before the model.
        validation_videos: Videos taken from the training part for validation, drawn anew by each seed; 0 where the split has its own.
    """

    corpus: Literal["mosi", "meld", "mmsa"] = "mosi"
    split: Literal["bclstm", "std"] = "bclstm"
    file: Path | None = None
    score_limit: float = Field(3.0, gt=0)
    modalities: tuple[Modality, ...] = MODALITIES
    text: Literal["given", "minilm", "trained"] = "given"
    text_start: str = ""
    text_context: Annotated[tuple[Annotated[int, Field(ge=0, le=8)], ...], Field(min_length=1)] = _unless((0,))
    past: int = Field(0, ge=0, le=64)
    past_of_others: PastOfOthers = _unless("real")
    future: int = Field(0, ge=0, le=64)
    erase: bool = _unless(False)
    validation_videos: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _no_leak(self) -> DataConfig:
        if self.corpus == "mosi" and self.split == "std":
            if Modality.VIDEO in self.modalities:
                raise ValueError("MOSI's video vectors leak the standard split's test labels: leave video out")
            if self.text == "given":
                raise ValueError("MOSI's text vectors leak the standard split's test labels: text must be minilm or trained")
        if self.text == "given" and (self.text_start or self.text_context != (0,)):
            raise ValueError("data.text_start and data.text_context go with text minilm or trained")
        if self.erase and self.corpus == "meld":
            raise ValueError("data.erase needs a corpus with scores")
        if (self.corpus == "mmsa") != (self.file is not None):
            raise ValueError("data.file goes with corpus mmsa, and with no other")
        return self


class TrainingConfig(_Section):
    """How long and how fast.

    Attributes:
        epochs: Passes.
        batch: Windows of a step.
        rate: Highest learning rate of the one-cycle schedule.
        text_rate: Likewise of a text encoder that is trained along.
        weight_decay: Of AdamW.
        average: Decay of a moving average of the weights, which is the model then; 0 for the last weights.
        modality_dropout: Chance that a window is trained without a modality, each modality by itself; one always stays.
        choose: The epoch that is kept: ``last`` where a validation part says nothing, else the least validation ``mae`` or the
            highest validation ``f1`` of the polarity.
    """

    epochs: int = Field(20, ge=1)
    batch: int = Field(32, ge=2)
    rate: float = Field(2e-3, gt=0)
    text_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    average: Annotated[float, Field(ge=0, lt=1)] = _unless(0.0)
    modality_dropout: Annotated[float, Field(ge=0, lt=1)] = _unless(0.0)
    choose: Literal["last", "mae", "f1"] = "last"


class ExperimentConfig(_Section):
    """One row of a table.

    Attributes:
        kind: Tells this file from others.
        name: Of the row and of its folder of results.
        note: Said beside the row.
        data: What it sees.
        model: What it is.
        training: How it is trained.
        seeds: Trained with seeds 0 ... seeds - 1.
    """

    kind: Literal["experiment"] = "experiment"
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    note: str = ""
    data: DataConfig = DataConfig()
    model: VariantConfig
    training: TrainingConfig = TrainingConfig()
    seeds: int = Field(5, ge=1, le=100)

    @model_validator(mode="after")
    def _model_fits(self) -> ExperimentConfig:
        if Modality.TEXT not in self.data.modalities and self.model.name is Variant.TEXT_ONLY:
            raise ValueError("a text-only model needs text")
        if self.data.future and not self.model.both_ways:
            raise ValueError("data.future is for models with model.both_ways")
        return self


def read_config(file: Path) -> ExperimentConfig:
    """Read a YAML file.

    Raises:
        TrainingError: If it cannot be read, has an unknown key, or is the live recipe.
    """
    values = _values(file)
    if values.get("kind") == "live":
        raise TrainingError(f"{file} is the live recipe: sentistream train {file}")
    return validated(ExperimentConfig, values, file)


def _values(file: Path, depth: int = 0) -> dict[str, Any]:
    found = read_yaml(file)
    base = found.pop("extends", None)
    if base is None:
        return found
    if depth > 4:
        raise TrainingError(f"{file}: extends goes round in a circle")
    return _merged(_values(file.parent / str(base), depth + 1), found)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return merged
