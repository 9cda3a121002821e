"""The YAML file of an experiment. Unknown keys are errors; ``extends: FILE`` starts from the values of another file."""

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
"""Value of ``data.text_start`` for the text encoder of the served models."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


Option = TypeVar("Option")


def _unless(default: Option) -> Any:
    """A field that is left out of dumps at its default, so that seeds that were trained before the option existed stay finished."""
    return Field(default, exclude_if=lambda value: value == default)


class DataConfig(_Section):
    """The windows and features of a model.

    Attributes:
        corpus: ``mosi``, ``meld`` (text only), or ``mmsa`` for a pickle that you own.
        split: MOSI's split.
        file: The MMSA pickle.
        score_limit: Largest absolute score of the pickle.
        modalities: The modalities that are used.
        text: ``given`` (the corpus's), ``minilm`` (the mean state of frozen MiniLM), or ``trained`` (MiniLM, trained with the model).
        text_start: With ``minilm`` and ``trained``: the encoder that is used or where training starts: name of an experiment,
            ``served`` for the served one, empty for MiniLM as published.
        text_context: With ``minilm`` and ``trained``: number of earlier utterances before the window's words, for each text node.
        past: Past windows in the context.
        past_of_others: Other speakers' past windows: ``real``, ``shuffled`` (exchanged for lines of other dialogues), or ``none``.
        future: Later windows in the context; only for offline rows.
        erase: Find artefacts in the training windows and remove them from every window.
        validation_videos: Training videos that become the validation part, drawn by each seed; 0 where the split has one.
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
    """Length and rates of a training.

    Attributes:
        epochs: Passes over the windows.
        batch: Windows of a step.
        rate: Highest learning rate of the one-cycle schedule.
        text_rate: Highest learning rate of a text encoder that is trained with the model.
        weight_decay: Weight decay of AdamW.
        average: Decay of the moving average of the weights that becomes the model; 0 for the last weights.
        modality_dropout: Probability with which a window loses a modality in training; one modality always stays.
        choose: The epoch that is kept: ``last``, or that with the least validation ``mae`` or the highest validation ``f1`` of the
            polarity.
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
        kind: Distinguishes this file from the recipe of the served models.
        name: Name of the row and of the folder of its results.
        note: Note in the last column of the table.
        data: Windows and features.
        model: The model.
        training: Settings of the training.
        seeds: Number of seeds, from 0.
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
    """Read and validate a YAML file.

    Raises:
        TrainingError: If it cannot be read, has an unknown key, or is the recipe of the served models.
    """
    values = _values(file)
    if values.get("kind") == "live":
        raise TrainingError(f"{file} is the recipe of the served models; train them with: sentistream train {file}")
    return validated(ExperimentConfig, values, file)


def _values(file: Path, depth: int = 0) -> dict[str, Any]:
    found = read_yaml(file)
    base = found.pop("extends", None)
    if base is None:
        return found
    if depth > 4:
        raise TrainingError(f"{file}: extends is circular")
    return _merged(_values(file.parent / str(base), depth + 1), found)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return merged
