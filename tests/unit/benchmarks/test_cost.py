"""The cost of a session-second counts what the default settings ask of the models."""

from __future__ import annotations

import pytest

from benchmarks.cost import FINALS, OUTPUTS, WITH_PARTIALS, feed, total
from stream.model_repository.served_models import AUDIO_ENCODER, FACE_ENCODER, MMCI, TEXT_ENCODER
from stream.serving.signatures import SIGNATURES


def test_a_session_second_has_the_rows_of_the_default_settings() -> None:
    assert FINALS == {AUDIO_ENCODER: 1, FACE_ENCODER: 5, TEXT_ENCODER: 0.5, MMCI: 0.5}
    assert WITH_PARTIALS == FINALS | {TEXT_ENCODER: 1.5, MMCI: 1.5}
    assert total({AUDIO_ENCODER: 2.0, FACE_ENCODER: 0.5, TEXT_ENCODER: 3.0, MMCI: 1.0}, FINALS) == 6.5


@pytest.mark.parametrize("model", OUTPUTS)
def test_requests_are_those_that_the_models_take(model: str) -> None:
    signature = SIGNATURES[model]
    inputs = feed(model, 4)
    assert {tensor.name for tensor in signature.inputs} == set(inputs)
    assert set(OUTPUTS[model]) <= {tensor.name for tensor in signature.outputs}
    assert {len(array) for array in inputs.values()} == {4}
    assert model != TEXT_ENCODER or {array.shape[1] for array in inputs.values()} == {16}
