from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stream.config.settings import TritonSettings
from stream.domain.deadlines import QUEUE_TIMEOUT_S, queue_timeout_us
from stream.serving.client import TritonClient


class FakeResult:
    def as_numpy(self, _name: str) -> Any:
        return np.zeros((1, 1), np.float32)


class FakeServer:
    """Stands in for tritonclient's client and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def infer(self, _model: str, _tensors: Any, **options: Any) -> FakeResult:
        self.asked.append(options)
        return FakeResult()

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("timeout_s", [0.001, 0.5, 2.0, TritonSettings().timeout_s, 120.0])
async def test_the_queue_gives_up_well_before_the_client(timeout_s: float) -> None:
    client, server = TritonClient("127.0.0.1:1", timeout_s), FakeServer()
    await client._connection.client.close()
    client._connection.client = server
    await client.infer("mmci", {"face": np.zeros((1, 1), np.float32)}, ["embedding"])
    await client.close()
    (options,) = server.asked
    assert options["client_timeout"] == timeout_s
    assert 0 < options["timeout"] / 1e6 <= timeout_s / 2
    assert options["timeout"] / 1e6 <= QUEUE_TIMEOUT_S


def test_a_patient_client_gets_the_servers_own_timeout() -> None:
    assert queue_timeout_us(TritonSettings().timeout_s) == QUEUE_TIMEOUT_S * 1e6
