from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from stream.aio.backoff import Backoff
from stream.config.settings import TritonSettings
from stream.model_repository.served_models import MAX_ROWS
from stream.serving.client import TritonClient, classify
from stream.serving.errors import ModelFailedError, ModelProcessDeadError, ModelRejectedError, ServingError, TritonUnavailableError
from stream.serving.models import MAX_MODEL_FAILURES, Models
from tests.fakes.triton import Answer, Arrays, FakeTritonClient

FAST = Backoff(first_s=0.001, cap_s=0.001)


def models_with(answer: Answer) -> tuple[Models, FakeTritonClient]:
    client = FakeTritonClient(answer)
    return Models(TritonSettings(url="127.0.0.1:1"), FAST, client=cast(TritonClient, client)), client


def embed(_model: str, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
    return {"embedding": inputs["face"].mean(axis=(1, 2, 3)).repeat(64).reshape(-1, 64).astype(np.float32)}


def faces(count: int) -> npt.NDArray[np.float32]:
    return np.arange(count, dtype=np.float32).reshape(-1, 1, 1, 1) * np.ones((count, 1, 48, 48), np.float32)


async def test_many_rows_are_split_and_put_together_in_order() -> None:
    models, client = models_with(embed)
    embeddings = await models.encode_faces(faces(2 * MAX_ROWS + 3))
    assert [len(inputs["face"]) for _, inputs in client.calls] == [MAX_ROWS, MAX_ROWS, 3]
    np.testing.assert_array_equal(embeddings[:, 0], np.arange(2 * MAX_ROWS + 3))


async def test_an_outage_is_waited_out() -> None:
    outages: list[ServingError] = [TritonUnavailableError("x"), ModelProcessDeadError("x"), TritonUnavailableError("x")]

    def answer(model: str, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        if outages:
            raise outages.pop()
        return embed(model, inputs)

    models, client = models_with(answer)
    assert (await models.encode_faces(faces(2))).shape == (2, 64)
    assert len(client.calls) == 4


async def test_a_request_that_always_fails_is_given_up() -> None:
    def answer(_model: str, _inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        raise ModelFailedError("INTERNAL: onnxruntime: Fail")

    models, client = models_with(answer)
    with pytest.raises(ModelRejectedError, match="failed 5 times"):
        await models.encode_faces(faces(1))
    assert len(client.calls) == MAX_MODEL_FAILURES


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (np.full((1, 64), np.nan, np.float32), "not finite"),
        (np.zeros((1, 63), np.float32), "not float32"),
        (np.zeros((1, 64), np.float64), "not float32"),
    ],
)
async def test_a_wrong_answer_is_not_passed_on(embedding: npt.NDArray[Any], message: str) -> None:
    models, client = models_with(lambda _model, _inputs: {"embedding": embedding})
    with pytest.raises(ModelRejectedError, match=message):
        await models.encode_faces(faces(1))
    assert len(client.calls) == 1


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("StatusCode.INVALID_ARGUMENT", "unexpected shape", ModelRejectedError),
        ("StatusCode.INTERNAL", "onnxruntime: Fail", ModelFailedError),
        ("StatusCode.INTERNAL", "Stub process 'mmci_0_0' is not healthy.", ModelProcessDeadError),
        ("StatusCode.UNAVAILABLE", "failed to connect", TritonUnavailableError),
        ("StatusCode.DEADLINE_EXCEEDED", "Deadline Exceeded", TritonUnavailableError),
        ("StatusCode.NOT_FOUND", "unknown model: 'mmci' is not found", TritonUnavailableError),
        (None, None, TritonUnavailableError),
    ],
)
def test_statuses_become_errors_by_how_to_handle_them(status: str | None, message: str | None, kind: type[ServingError]) -> None:
    assert type(classify(status, message)) is kind
