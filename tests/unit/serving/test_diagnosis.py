"""Each state of Triton's models has its own code and sentence, and says whether waiting helps."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from stream.aio.protocols import Listener
from stream.config.service_settings import TritonSettings
from stream.domain.service_problem import ServiceProblem
from stream.model_repository.served_models import AUDIO_ENCODER, MMCI, MODEL_NAMES
from stream.serving import diagnosis
from stream.serving.client import TritonClient
from stream.serving.diagnosis import triton_problem
from stream.serving.errors import ServingError, TritonUnavailableError
from stream.serving.signatures import SIGNATURES, Signature

SETTINGS = TritonSettings(url="triton:8001")
READY = dict.fromkeys(MODEL_NAMES, ("READY", ""))


class Client:
    """A Triton whose models are in the given states."""

    def __init__(
        self,
        states: dict[str, tuple[str, str]],
        signatures: dict[str, Signature] | None = None,
        error: ServingError | None = None,
        delay_s: float = 0,
    ) -> None:
        self._states = states
        self._signatures = {**SIGNATURES, **(signatures or {})}
        self._error = error
        self._delay_s = delay_s

    async def is_ready(self, model: str) -> bool:
        await asyncio.sleep(self._delay_s)
        return self._states.get(model, ("", ""))[0] == "READY"

    async def signature(self, model: str) -> Signature:
        return self._signatures[model]

    async def repository(self) -> dict[str, tuple[str, str]]:
        if self._error:
            raise self._error
        return self._states


async def problem(client: Client, found: Listener, monkeypatch: pytest.MonkeyPatch) -> ServiceProblem | None:
    async def identify(_host: str, _port: int) -> Listener:
        return found

    monkeypatch.setattr(diagnosis, "identify", identify)
    return await triton_problem(SETTINGS, cast(TritonClient, client))


async def test_models_of_this_release_are_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await problem(Client(READY), Listener.HTTP2, monkeypatch) is None


async def test_a_model_with_other_tensors_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = SIGNATURES[MMCI]
    other = replace(ours, inputs=(replace(ours.inputs[0], dims=(-1, 300)), *ours.inputs[1:]))
    found = await problem(Client(READY, {MMCI: other}), Listener.HTTP2, monkeypatch)
    assert found is not None
    assert (found.code, found.lasting) == ("model_foreign", True)
    assert found.text == (
        "mmci on Triton at triton:8001 is not the model of this release: input words is FP32[-1, 300], not FP32[-1, 384]; "
        "let Triton serve the triton_models of this version (`sentistream models build`)"
    )


@pytest.mark.parametrize(
    ("state", "code", "lasting", "said"),
    [
        (("LOADING", ""), "model_loading", False, "is still loading mmci; nothing to do"),
        (("UNAVAILABLE", "unloaded"), "model_not_loaded", False, "has not loaded mmci; load them, or start it with all models"),
        (("", ""), "model_not_loaded", False, "has not loaded mmci"),
        (("UNAVAILABLE", "no\nsuch file"), "model_broken", False, "cannot load mmci (no such file); correct its model repository"),
        (None, "model_missing", True, "has no model mmci: it serves another model repository"),
    ],
)
async def test_a_model_that_is_not_ready_says_why(
    state: tuple[str, str] | None, code: str, lasting: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = {name: value for name, value in {**READY, MMCI: state}.items() if value is not None}
    found = await problem(Client(states), Listener.HTTP2, monkeypatch)
    assert found is not None
    assert (found.code, found.lasting) == (code, lasting)
    assert said in found.text


async def test_another_grpc_server_is_not_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client({}, error=TritonUnavailableError("UNIMPLEMENTED: unknown service inference.GRPCInferenceService"))
    found = await problem(client, Listener.HTTP2, monkeypatch)
    assert found == ServiceProblem(
        "wrong_port", "triton:8001 is a gRPC server, but not Triton; correct --triton or triton.url", lasting=True
    )


async def test_a_port_with_tls_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await problem(Client({}), Listener.TLS, monkeypatch)
    assert found is not None
    assert (found.code, found.text.startswith("triton:8001 expects TLS")) == ("wrong_port", True)


async def test_a_busy_triton_that_answers_late_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "QUICK_S", 0.01)
    monkeypatch.setattr(diagnosis, "PATIENCE_S", 20.0)
    assert await problem(Client(READY, delay_s=0.1), Listener.OTHER, monkeypatch) is None


async def test_a_triton_that_does_not_answer_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "QUICK_S", 0.01)
    monkeypatch.setattr(diagnosis, "PATIENCE_S", 0.02)
    found = await problem(Client({AUDIO_ENCODER: ("READY", "")}, delay_s=60), Listener.HTTP2, monkeypatch)
    assert found is not None
    assert (found.code, found.lasting) == ("no_answer", False)
