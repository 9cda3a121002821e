"""Canaries: very small inferences that show whether a model really answers.

Triton's own readiness check is not enough: it reports a model as ready even if the process that runs it is dead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.model_repository.errors import ModelRepositoryError
from stream.model_repository.model_config import CPU_CONFIG, ModelConfig, TensorSpec, read_config
from stream.serving.client import TritonClient
from stream.serving.errors import ModelFailedError, ModelProcessDeadError, ModelRejectedError, ServingError

_DTYPES: dict[str, npt.DTypeLike] = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64, "INT32": np.int32, "UINT8": np.uint8}


class Health(StrEnum):
    """Result of a canary."""

    ANSWERS = "answers"
    BUSY = "busy"
    """No answer in time, but the model executed other requests meanwhile. Restarting an overloaded model would make it worse."""
    SILENT = "silent"
    """No answer in time, and no other request was executed."""
    DEAD = "dead"
    """Triton reports that the model's process is gone."""


@dataclass(frozen=True, slots=True)
class Canary:
    """The smallest request of one model: one row of zeros, free axes of length 1."""

    model: str
    inputs: Mapping[str, npt.NDArray[Any]]
    outputs: tuple[str, ...]

    async def check(self, client: TritonClient, version: str = "") -> Health:
        """Send the request to a version of the model. An error that the model itself reports is an answer, too."""
        executed_before = await _executions(client, self.model)
        try:
            await client.infer(self.model, self.inputs, self.outputs, version)
        except (ModelFailedError, ModelRejectedError):
            return Health.ANSWERS
        except ModelProcessDeadError:
            return Health.DEAD
        except ServingError:
            executed = await _executions(client, self.model)
            return Health.BUSY if executed is not None and executed_before is not None and executed > executed_before else Health.SILENT
        return Health.ANSWERS


async def _executions(client: TritonClient, model: str) -> int | None:
    """Executions of a model so far; None if Triton does not say."""
    try:
        return (await client.counts(model))[1]
    except ServingError:
        return None


def canaries(repository: Path) -> tuple[Canary, ...]:
    """The canary of every model in a repository, as the CPU configuration describes it. Raises `ModelRepositoryError`."""
    problems: list[str] = []
    directories = sorted(path.parent.parent for path in repository.glob(f"*/{CPU_CONFIG}"))
    made = []
    for directory in directories:
        config = read_config(directory / CPU_CONFIG, problems)
        if config is None:
            raise ModelRepositoryError(f"{directory}: {problems[0]}")
        made.append(_canary(directory.name, config))
    return tuple(made)


def _canary(model: str, config: ModelConfig) -> Canary:
    return Canary(model, {t.name: _zeros(t) for t in config.inputs}, tuple(t.name for t in config.outputs))


def _zeros(tensor: TensorSpec) -> npt.NDArray[Any]:
    return np.zeros((1, *(max(size, 1) for size in tensor.dims)), _DTYPES[tensor.datatype])
