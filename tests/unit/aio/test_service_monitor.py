"""Problems of services are said once, again every minute, and when they are over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from stream.aio.service_monitor import CHECK_EVERY_S, CHECK_TIMEOUT_S, Check, ServiceMonitor, WrongServiceError
from stream.domain.service_problem import ServiceProblem

AWAY = ServiceProblem("refused", "Triton does not answer", lasting=False)
LOADING = ServiceProblem("model_loading", "Triton is loading", lasting=False)
FOREIGN = ServiceProblem("model_foreign", "other models", lasting=True)


class Log:
    def __init__(self, now_s: Callable[[], float]) -> None:
        self.said: list[tuple[float, str, str, float]] = []
        self._now_s = now_s

    def on_problem(self, service: str, problem: ServiceProblem, lasted_s: float) -> None:
        self.said.append((self._now_s(), service, problem.code, lasted_s))

    def on_recovery(self, service: str, lasted_s: float) -> None:
        self.said.append((self._now_s(), service, "usable", lasted_s))


async def watch(seconds: float, problem_at: Callable[[float], ServiceProblem | None]) -> list[tuple[float, str, str, float]]:
    """What a monitor says while virtual time runs."""
    now_s = [0.0]
    log = Log(lambda: now_s[0])

    async def check() -> ServiceProblem | None:
        return problem_at(now_s[0])

    async def sleep(duration_s: float) -> None:
        now_s[0] += duration_s
        if now_s[0] > seconds:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await ServiceMonitor({"triton": check}, log, lambda: now_s[0], sleep).run()
    return log.said


async def test_an_outage_is_said_once_every_minute_and_when_it_is_over() -> None:
    said = await watch(200, lambda now_s: AWAY if 10 <= now_s < 150 else None)
    assert [what for _, _, what, _ in said] == ["refused", "refused", "refused", "usable"]
    assert [round(at_s, 1) for at_s, *_ in said] == [10.5, 70.5, 130.5, 150.0]
    assert [lasted for *_, lasted in said] == [0.0, 60.0, 120.0, 139.5]


async def test_a_problem_that_becomes_another_one_is_said_at_once_and_keeps_its_beginning() -> None:
    said = await watch(20, lambda now_s: AWAY if now_s < 6 else LOADING if now_s < 12 else None)
    assert said == [(0.0, "triton", "refused", 0.0), (6.0, "triton", "model_loading", 6.0), (12.0, "triton", "usable", 12.0)]


async def test_a_healthy_service_is_not_mentioned() -> None:
    assert await watch(200, lambda _: None) == []


async def test_a_note_is_no_problem() -> None:
    assert await watch(20, lambda _: ServiceProblem("other_weights", "", lasting=True, serious=False)) == []


def test_a_problem_is_reported_within_5_s() -> None:
    assert CHECK_EVERY_S + CHECK_TIMEOUT_S < 5


async def fails() -> None:
    raise ConnectionError("redis://user:hunter2@host")


async def outage() -> ServiceProblem:
    return AWAY


async def foreign() -> ServiceProblem:
    return FOREIGN


async def fine() -> None:
    pass


@pytest.mark.parametrize(("check", "code"), [(fails, "error"), (outage, "refused"), (foreign, "model_foreign"), (fine, None)])
async def test_only_what_does_not_pass_by_itself_stops_a_start(check: Check, code: str | None) -> None:
    monitor = ServiceMonitor({"service": check})
    if code == "model_foreign":
        with pytest.raises(WrongServiceError, match="other models"):
            await monitor.require_usable()
    else:
        await monitor.require_usable()
    assert [ongoing.problem.code for ongoing in monitor.problems.values()] == ([code] if code else [])
    assert "hunter2" not in str(monitor.problems)


async def test_services_are_checked_at_the_same_time() -> None:
    both = asyncio.Barrier(2)

    async def waits_for_the_other() -> None:
        await both.wait()

    checks: dict[str, Callable[[], Awaitable[None]]] = {"kafka": waits_for_the_other, "redis": waits_for_the_other}
    assert await ServiceMonitor(checks).check() == {}


async def test_a_problem_that_is_reported_without_a_check_is_said_once() -> None:
    log = Log(lambda: 0.0)

    async def check() -> ServiceProblem | None:
        return FOREIGN

    monitor = ServiceMonitor({"triton": check}, log, lambda: 0.0)
    for _ in range(2):
        monitor.report("triton", FOREIGN)
    assert log.said == [(0.0, "triton", "model_foreign", 0.0)]
    assert monitor.problems["triton"].problem is FOREIGN
