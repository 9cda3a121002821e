"""What calls wait for is said once, again every minute, and known while they wait."""

from __future__ import annotations

import contextlib

import pytest
from pydantic import SecretStr

from stream.agents import worker
from stream.config.service_settings import RedisSettings
from stream.sinks import examine, troubles
from stream.sinks.connection import RedisConnection
from stream.sinks.examine import FAILOVER_S, Examination, RedisHealth
from stream.sinks.problems import Diagnosis, RedisProblem, RedisRefusedError, diagnosis
from stream.sinks.troubles import AGAIN_S, Troubles
from tests.fakes.clock import FakeClock

AWAY, REFUSED, REPLICA = map(diagnosis, (RedisProblem.AWAY, RedisProblem.WRONG_PASSWORD, RedisProblem.READ_ONLY))
SETTINGS = RedisSettings(url=SecretStr("redis://:hunter2@nobody:1/0"))


class Recorder:
    """Takes the place of the log."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def warning(self, event: str, *, code: str, what: str) -> None:
        self._add("warning", event, code, what)

    def error(self, event: str, *, code: str, what: str) -> None:
        self._add("error", event, code, what)

    def info(self, event: str, *, attempts: int) -> None:
        self.lines.append(("info", event, str(attempts)))

    def _add(self, level: str, event: str, code: str, what: str) -> None:
        assert what.startswith("Redis at h:1 ")
        self.lines.append((level, event, code))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(troubles, "log", recorder)
    return recorder


def test_a_problem_is_logged_once_for_all_calls_and_again_after_a_minute(log: Recorder) -> None:
    clock = FakeClock()
    known = Troubles("h:1", logs=True, clock=clock.monotonic)
    with known.of_call() as one, known.of_call() as other:
        for _ in range(100):
            known.note(one, REFUSED)
            known.note(other, REFUSED)
        assert log.lines == [("error", "redis_unavailable", "wrong_password")]
        clock.wait(AGAIN_S)
        known.note(one, REFUSED)
        known.note(other, REFUSED)
        assert log.lines[1:] == [("error", "redis_unavailable", "wrong_password")]
        assert known.current == REFUSED
    assert known.current is None
    assert log.lines[2:] == [("info", "redis_available", "203")]


def test_an_outage_is_a_warning_and_comes_back_as_a_new_one(log: Recorder) -> None:
    known = Troubles("h:1", logs=True, clock=FakeClock().monotonic)
    for _ in range(2):
        with known.of_call() as call:
            known.note(call, AWAY)
    assert [line[:2] for line in log.lines] == [("warning", "redis_unavailable"), ("info", "redis_available")] * 2


def test_what_does_not_pass_by_itself_comes_first_and_a_monitored_connection_logs_nothing(log: Recorder) -> None:
    known = Troubles("h:1", logs=False)
    with known.of_call() as one:
        known.note(one, AWAY)
        with known.of_call() as other:
            known.note(other, REFUSED)
            assert known.current == REFUSED
        assert known.current == AWAY
    assert log.lines == []


async def test_a_replica_is_one_for_good_after_the_time_of_a_failover(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, connection, answers = FakeClock(), RedisConnection(SETTINGS), [REPLICA]

    async def once(*_: object) -> None:
        if answers:
            raise answers[-1].as_error("h:1")

    monkeypatch.setattr(connection, "once", once)
    health = RedisHealth(connection, clock.monotonic)
    lasting = []
    for seconds in (0.0, FAILOVER_S - 1, 2.0):
        clock.wait(1.0 + seconds)
        problem = await health.problem()
        assert problem is not None
        lasting.append((problem.code, problem.lasting))
    assert lasting == [("read_only", False), ("read_only", True), ("read_only", True)]
    answers.clear()
    assert await health.problem() is None
    answers.append(REPLICA)
    clock.wait(1.0)
    again = await health.problem()
    assert again is not None
    assert not again.lasting


@pytest.mark.parametrize(
    ("problem", "ends"), [(AWAY, False), (diagnosis(RedisProblem.OUT_OF_MEMORY), False), (REFUSED, True), (REPLICA, True), (None, False)]
)
async def test_a_worker_begins_only_where_waiting_helps(monkeypatch: pytest.MonkeyPatch, problem: Diagnosis | None, *, ends: bool) -> None:
    async def found(*_: object, **__: object) -> Examination:
        return Examination("h:1", problem=problem)

    monkeypatch.setattr(examine, "examine", found)
    monkeypatch.setattr(examine, "FAILOVER_S", 0.05)
    with pytest.raises(RedisRefusedError, match=r"^Redis at h:1 ") if ends else contextlib.nullcontext():
        await worker._examine_redis(SETTINGS)
