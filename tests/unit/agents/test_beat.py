"""A worker's beats go on whatever happens to one of them."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest
from pydantic import SecretStr

from stream.agents import beat
from stream.agents.beat import Beating
from stream.agents.worker_state import WorkerState
from stream.aio.service_monitor import ServiceMonitor
from stream.config.service_settings import RedisSettings
from stream.domain.worker_beat import WorkerBeat
from stream.local.ports import free_port


class OddState(WorkerState):
    """Cannot say how the worker is."""

    asked = 0

    def why_not_ready(self, now_s: float) -> NoReturn:
        self.asked += 1
        raise ZeroDivisionError


class OddBeats:
    """Redis answers with an error that is no outage."""

    async def put(self, _beat: WorkerBeat) -> None:
        pass

    async def remove(self, _worker: str) -> NoReturn:
        raise ZeroDivisionError


async def test_a_beat_that_fails_is_not_the_last_and_a_worker_stops_without_its_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beat, "BEAT_S", 0.001)
    monkeypatch.setattr(beat, "WorkerBeats", lambda _redis: OddBeats())
    state = OddState()
    async with Beating(RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0")), state, ServiceMonitor({})), asyncio.timeout(5):
        while state.asked < 3:
            await asyncio.sleep(0.001)


async def test_a_beat_says_that_the_worker_is_behind() -> None:
    beating = Beating(RedisSettings(), WorkerState(partitions=1, overload="it is 7.2 s behind"), ServiceMonitor({}))
    assert beating.beat().overload == "it is 7.2 s behind"
