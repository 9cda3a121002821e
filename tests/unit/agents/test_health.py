from __future__ import annotations

import asyncio
import socket
import time
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from stream.agents.health import HealthPortError, HealthServer
from stream.agents.worker_state import WorkerState
from stream.aio import service_monitor
from stream.aio.service_monitor import Check, ServiceMonitor
from stream.cli.errors import describe
from stream.config.worker_settings import HealthSettings
from stream.domain.service_problem import ServiceProblem
from stream.explain.word_effects import Truth
from stream.local.ports import LOOPBACK, free_port
from stream.pipeline.timings import Step


async def fine() -> None:
    pass


async def ask(port: int, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as client, client.get(f"http://{LOOPBACK}:{port}{path}") as answer:
        return answer.status, await answer.json()


async def ready(state: WorkerState, **checks: Check) -> tuple[int, Any]:
    settings = HealthSettings(port=free_port())
    async with HealthServer(settings, state, ServiceMonitor(checks)):
        return await ask(settings.port, "/ready")


async def test_a_worker_that_can_work_is_ready_and_live() -> None:
    assert await ready(WorkerState(partitions=24), redis=fine) == (200, {"ready": True, "partitions": 24, "reasons": {}})


async def test_the_truth_of_claims_on_words_is_public_once_it_was_checked() -> None:
    state = WorkerState(partitions=24)
    state.metrics.count_word_truth(Truth(windows=4, top_right=3, claims=5, signs_right=5))
    _, body = await ready(state)
    assert body["word_claims"] == {"windows_checked": 4, "top": 0.75, "sign": 1.0}


async def test_reasons_name_the_missing_services() -> None:
    async def refused() -> None:
        raise ConnectionError("redis://user:secret@host")

    status, body = await ready(WorkerState(), redis=refused, triton=fine)
    assert status == 503
    assert body["services"].keys() == {"redis"}
    since = body["services"]["redis"].pop("since")
    assert abs(datetime.fromisoformat(since).timestamp() - time.time()) < 60
    assert body == {
        "ready": False,
        "partitions": None,
        "reasons": {"kafka": "no partitions are assigned", "redis": "ConnectionError"},
        "services": {"redis": {"code": "error", "lasting": False}},
    }


async def test_a_problem_has_a_code_and_a_beginning_that_stays() -> None:
    async def refused() -> ServiceProblem:
        return ServiceProblem("wrong_port", "host:8000 is Triton's HTTP port", lasting=True)

    settings, at_s = HealthSettings(port=free_port()), [1_800_000_000.0]
    monitor = ServiceMonitor({"triton": refused}, clock=lambda: at_s[0])
    async with HealthServer(settings, WorkerState(partitions=1), monitor):
        first = await ask(settings.port, "/ready")
        at_s[0] += 90
        assert await ask(settings.port, "/ready") == first
    assert first[1]["reasons"] == {"triton": "host:8000 is Triton's HTTP port"}
    assert first[1]["services"] == {"triton": {"code": "wrong_port", "since": "2027-01-15T08:00:00Z", "lasting": True}}


async def test_a_service_that_does_not_answer_does_not_hold_up_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(service_monitor, "CHECK_TIMEOUT_S", 0.1)
    began = time.monotonic()
    status, body = await ready(WorkerState(partitions=1), triton=silent)
    assert (status, body["reasons"]) == (503, {"triton": "no answer within 0.1 s"})
    assert time.monotonic() - began < 5


async def test_a_worker_stays_live_while_a_service_is_away_and_while_it_drains() -> None:
    async def refused() -> None:
        raise ConnectionError

    settings, state = HealthSettings(port=free_port()), WorkerState(partitions=24)
    async with HealthServer(settings, state, ServiceMonitor({"redis": refused})):
        assert await ask(settings.port, "/live") == (200, {"live": True, "partitions": 24, "reasons": {}})
        state.draining = True
        assert (await ask(settings.port, "/live"))[0] == 200
        assert (await ask(settings.port, "/ready"))[1]["reasons"]["worker"] == "draining"
        state.on_consumer_turn(lambda: time.monotonic() - 1000)
        status, body = await ask(settings.port, "/live")
        assert (status, body["live"], list(body["reasons"])) == (503, False, ["consumer"])


async def test_services_are_not_checked_for_every_request() -> None:
    checks: list[None] = []

    async def count() -> None:
        checks.append(None)

    settings = HealthSettings(port=free_port())
    async with HealthServer(settings, WorkerState(partitions=1), ServiceMonitor({"redis": count})):
        answers = await asyncio.gather(*(ask(settings.port, "/ready") for _ in range(20)))
    assert {status for status, _ in answers} == {200}
    assert len(checks) < 5


async def test_a_taken_port_is_reported_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        with pytest.raises(HealthPortError, match=r"health\.port") as error:
            async with HealthServer(HealthSettings(port=taken.getsockname()[1]), WorkerState(), ServiceMonitor({})):
                pass
    assert describe(error.value) is not None


async def test_port_0_switches_the_endpoints_off() -> None:
    before = asyncio.all_tasks()
    async with HealthServer(HealthSettings(), WorkerState(), ServiceMonitor({})) as server:
        assert server.listening is False
        assert asyncio.all_tasks() == before


async def test_metrics_are_in_the_text_format_of_prometheus() -> None:
    state, settings = WorkerState(), HealthSettings(port=free_port())
    state.metrics.windows.labels("2").inc(3)
    url = f"http://{LOOPBACK}:{settings.port}/metrics"
    async with HealthServer(settings, state, ServiceMonitor({})), aiohttp.ClientSession() as client, client.get(url) as answer:
        assert answer.content_type == "text/plain"
        assert 'sentistream_windows_total{version="2"} 3.0' in (await answer.text()).splitlines()


async def test_a_worker_that_is_behind_says_so_and_stays_ready() -> None:
    state = WorkerState(partitions=24, overload="it is 7.2 s behind")
    assert await ready(state) == (200, {"ready": True, "partitions": 24, "reasons": {}, "overload": "it is 7.2 s behind"})


async def test_timings_of_the_last_seconds_can_be_asked_for() -> None:
    state, settings = WorkerState(partitions=24), HealthSettings(port=free_port())
    state.timings.add(Step.TOTAL, 20.0)
    async with HealthServer(settings, state, ServiceMonitor({})), aiohttp.ClientSession() as client:
        assert (await ask(settings.port, "/timings?seconds=60"))[1] == {"total": {"count": 1, "p50": 20.0, "p95": 20.0, "p99": 20.0}}
        assert (await ask(settings.port, "/timings?seconds=0"))[1] == {}
        async with client.get(f"http://{LOOPBACK}:{settings.port}/timings?seconds=x") as answer:
            assert (answer.status, await answer.text()) == (400, "seconds must be a number")
