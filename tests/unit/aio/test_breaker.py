from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from stream.aio.backoff import Backoff
from stream.aio.breaker import Breaker
from stream.serving.errors import ModelRejectedError, TritonUnavailableError


def steady(cap_s: float = 2.0) -> Backoff:
    return Backoff(first_s=0.1, cap_s=cap_s, jitter=0.0)


def test_delays_grow_to_the_cap_and_jitter_only_shortens_them() -> None:
    delays = [steady().delay_s(failures) for failures in range(1, 9)]
    assert delays[:3] == pytest.approx([0.1, 0.2, 0.4])
    assert all(later >= earlier for earlier, later in pairwise(delays))
    assert delays[-1] == steady().delay_s(10_000) == 2.0
    jittered = Backoff(first_s=0.1, cap_s=2.0, jitter=0.5, uniform=lambda: 0.999)
    assert 0.05 < jittered.delay_s(1) < 0.06


class Server:
    """Fails until it is up; counts the attempts, and how many run at once."""

    def __init__(self) -> None:
        self.up = False
        self.attempts = 0
        self.at_once = 0
        self.most_at_once = 0

    async def answer(self) -> str:
        self.attempts += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if not self.up:
            raise TritonUnavailableError("down")
        return "answer"


async def test_concurrent_callers_share_one_probe_and_all_get_answers() -> None:
    server, slept = Server(), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        server.up = len(slept) >= 4
        server.most_at_once = 0
        await asyncio.sleep(0)

    breaker = Breaker(TritonUnavailableError, steady(), sleep)
    callers = [asyncio.create_task(breaker.run(server.answer)) for _ in range(10)]
    assert await asyncio.gather(*callers) == ["answer"] * 10
    assert slept == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert server.attempts == 10 + 3 + 10  # each caller's first attempt, three failed probes, each caller's last attempt
    assert not breaker.is_open


async def test_while_open_only_one_caller_probes() -> None:
    server = Server()
    most_at_once: list[int] = []

    async def sleep(_seconds: float) -> None:
        most_at_once.append(server.most_at_once)
        server.most_at_once = 0
        if len(most_at_once) == 5:
            server.up = True
        await asyncio.sleep(0)

    breaker = Breaker(TritonUnavailableError, steady(), sleep)
    await asyncio.gather(*(breaker.run(server.answer) for _ in range(6)))
    assert most_at_once[0] == 6
    assert set(most_at_once[1:]) == {1}


async def test_other_errors_reach_the_caller_and_close_the_breaker() -> None:
    answers: list[Exception] = [TritonUnavailableError("down"), ModelRejectedError("bad")]

    async def answer() -> str:
        raise answers.pop(0)

    async def sleep(_seconds: float) -> None:
        assert breaker.is_open

    breaker = Breaker(TritonUnavailableError, steady(), sleep)
    with pytest.raises(ModelRejectedError):
        await breaker.run(answer)
    assert not breaker.is_open


async def test_a_cancelled_caller_leaves_the_probe_to_the_next() -> None:
    server = Server()
    may_wake = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        await may_wake.wait()

    breaker = Breaker(TritonUnavailableError, steady(), sleep)
    first, second = (asyncio.create_task(breaker.run(server.answer)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    server.up = True
    may_wake.set()
    assert await second == "answer"
    with pytest.raises(asyncio.CancelledError):
        await first
