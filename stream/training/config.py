"""The YAML file of the recipe of the served models. Unknown keys are errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stream.training.errors import TrainingError

Model = TypeVar("Model", bound=BaseModel)


class LiveConfig(BaseModel):
    """The recipe of the models that are served.

    Attributes:
        kind: Distinguishes this file from that of a row of the research tables.
        seed: Seed of all random choices. MMCI is trained with this seed and the next two; the best on validation data is kept.
        steps: The models to train. ``mmci`` alone uses the encoders in the repository, and ``words`` alone
            fits the estimate of words' effects to the MMCI in it.
        face: Whether the face encoder starts from random weights or, in a short training, from the served ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    kind: Literal["live"]
    seed: int = Field(0, ge=0)
    steps: tuple[Literal["text", "audio", "face", "mmci", "words"], ...] = ("text", "audio", "face", "mmci", "words")
    face: Literal["from scratch", "fine-tuned"] = "from scratch"


def read_live_config(file: Path) -> LiveConfig:
    """Read and validate the recipe.

    Raises:
        TrainingError: If the file cannot be read, has an unknown key, or describes a row of the research tables.
    """
    values = read_yaml(file)
    if values.get("kind") != "live":
        raise TrainingError(f"{file} is not the recipe of the served models; for a research row: python -m research.train {file}")
    return validated(LiveConfig, values, file)


def read_yaml(file: Path) -> dict[str, Any]:
    """Read the keys and values of a YAML file.

    Raises:
        TrainingError: If the file cannot be read, or is not a mapping.
    """
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingError(f"{file} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise TrainingError(f"{file} must hold keys and values")
    return found


def validated(model: type[Model], values: dict[str, Any], file: Path) -> Model:
    """Validate values as a configuration.

    Raises:
        TrainingError: For the first invalid value; the message names its key.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise TrainingError(f"{file}: {key}: {first['msg']}") from error
