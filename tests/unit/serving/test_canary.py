from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from stream.config.settings import Settings
from stream.domain.media_format import FACE_WIDTH, VOICE_WIDTH
from stream.model_repository.errors import ModelRepositoryError
from stream.model_repository.served_models import MODEL_NAMES
from stream.serving.canary import Canary, Health, canaries
from stream.serving.client import TritonClient
from stream.serving.errors import ModelFailedError, ModelProcessDeadError, ModelRejectedError, ServingError, TritonUnavailableError

CANARY = Canary("m", {"x": np.zeros((1, 1), np.float32)}, ("y",))


class Client:
    """Raises the given error, if any. ``executions`` are its answers about executions so far; None is no answer."""

    def __init__(self, error: ServingError | None, executions: Sequence[int | None]) -> None:
        self._error = error
        self._executions = list(executions)

    async def infer(self, _model: str, _inputs: Mapping[str, npt.NDArray[Any]], _outputs: Sequence[str], _version: str) -> None:
        if self._error:
            raise self._error

    async def counts(self, _model: str) -> tuple[int, int]:
        executions = self._executions.pop(0)
        if executions is None:
            raise TritonUnavailableError("no answer")
        return executions, executions


@pytest.mark.parametrize(
    ("error", "executions", "health"),
    [
        (None, [1, 2], Health.ANSWERS),
        (ModelFailedError("x"), [1, 1], Health.ANSWERS),
        (ModelRejectedError("x"), [1, 1], Health.ANSWERS),
        (ModelProcessDeadError("x"), [1, 2], Health.DEAD),
        (TritonUnavailableError("late"), [1, 5], Health.BUSY),
        (TritonUnavailableError("late"), [5, 5], Health.SILENT),
        (TritonUnavailableError("late"), [5, None], Health.SILENT),
        (TritonUnavailableError("late"), [None, 5], Health.SILENT),
    ],
)
async def test_a_canary_tells_busy_silent_and_dead_models_apart(
    error: ServingError | None, executions: list[int | None], health: Health
) -> None:
    assert await CANARY.check(cast(TritonClient, Client(error, executions))) is health


def test_every_canary_is_the_smallest_request_of_its_model() -> None:
    found = {canary.model: canary for canary in canaries(Settings().triton.model_repository)}
    assert set(found) == set(MODEL_NAMES)
    assert {name: array.shape for name, array in found["mmci"].inputs.items()} == {
        **{"words": (1, 1, 384), "word_times": (1, 1, 2), "word_mask": (1, 1)},
        **{"audio": (1, 1, VOICE_WIDTH), "audio_times": (1, 1, 2), "audio_mask": (1, 1)},
        **{"video": (1, 1, FACE_WIDTH), "video_times": (1, 1, 2), "video_mask": (1, 1)},
        **{"past_words": (1, 4, 384), "past_audio": (1, 4, VOICE_WIDTH), "past_video": (1, 4, FACE_WIDTH)},
        **{"past_mask": (1, 4, 3), "past_same": (1, 4)},
    }
    assert found["text_encoder"].inputs["input_ids"].dtype == np.int64


def test_a_broken_configuration_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "m" / "configs").mkdir(parents=True)
    (tmp_path / "m" / "configs" / "cpu.pbtxt").write_text("name = 3")
    with pytest.raises(ModelRepositoryError, match="line 1 is not a valid model configuration"):
        canaries(tmp_path)
