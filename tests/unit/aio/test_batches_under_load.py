"""How long an item waits for others follows the load, in virtual time."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from stream.aio.batcher import MOST_HELD_S, MOST_IN_FLIGHT, Batcher
from stream.config.service_settings import TritonSettings
from tests.support.virtual_time import run_in_virtual_time

DELAY_S = TritonSettings().batch_delay_ms / 1000
CALL_S = 0.003
SECONDS = 6


class Load(NamedTuple):
    """What a load has shown: rows of each request after the first two seconds, the longest wait for an answer, and requests at a time."""

    rows: list[int]
    slowest_s: float
    most_at_a_time: int


async def load(per_s: float, row_s: float = 0.0005, burst: int = 1) -> Load:
    """Sessions that each bring a burst of rows a second, spread evenly; the model answers one request at a time."""
    time, model = asyncio.get_running_loop().time, asyncio.Lock()
    rows: list[int] = []
    at_a_time: list[int] = []
    slowest_s = 0.0
    asked = 0

    async def run(items: Sequence[float]) -> list[float]:
        nonlocal asked
        asked += 1
        if time() > 2:
            rows.append(len(items))
            at_a_time.append(asked)
        async with model:
            await asyncio.sleep(CALL_S + row_s * len(items))
        asked -= 1
        return list(items)

    batcher: Batcher[float, float] = Batcher(run, shape=lambda _: 0, max_size=16, delay_s=DELAY_S, follows_load=True)

    async def one(due_s: float) -> None:
        nonlocal slowest_s
        await asyncio.sleep(due_s)
        await batcher.answer(due_s)
        if due_s > 2:
            slowest_s = max(slowest_s, time() - due_s)

    await asyncio.gather(*(one(number / per_s) for number in range(round(SECONDS * per_s)) for _ in range(burst)))
    return Load(rows, slowest_s, max(at_a_time))


@pytest.mark.parametrize("burst", [1, 5])
def test_one_session_waits_for_nobody(burst: int) -> None:
    found = run_in_virtual_time(load(1, burst=burst))
    assert set(found.rows) == {burst}
    assert found.slowest_s == pytest.approx(CALL_S + 0.0005 * burst)


def test_few_sessions_hardly_wait() -> None:
    assert run_in_virtual_time(load(5)).slowest_s < 0.01


def test_sixty_sessions_share_requests() -> None:
    found = run_in_virtual_time(load(60))
    assert statistics.mean(found.rows) >= 60 * DELAY_S
    assert found.slowest_s < DELAY_S + 0.02


def test_many_sessions_fill_requests_before_the_wait_is_over() -> None:
    assert set(run_in_virtual_time(load(400)).rows[:-1]) == {16}


def test_under_overload_requests_are_full_and_few() -> None:
    found = run_in_virtual_time(load(300, row_s=0.005))
    assert set(found.rows[:-1]) == {16}
    assert found.most_at_a_time <= MOST_IN_FLIGHT


def test_what_comes_while_the_model_is_busy_shares_the_next_request() -> None:
    """Not by the clock: a batch in flight that takes longer gathers more."""

    async def busy() -> list[int]:
        rows: list[int] = []

        async def run(items: Sequence[int]) -> list[int]:
            rows.append(len(items))
            await asyncio.sleep(0.5)
            return list(items)

        batcher: Batcher[int, int] = Batcher(run, shape=lambda _: 0, max_size=16, delay_s=0.001, follows_load=True)

        async def one(number: int) -> None:
            await asyncio.sleep(0.02 * number)
            await batcher.answer(number)

        await asyncio.gather(*map(one, range(12)))
        return rows

    assert run_in_virtual_time(busy()) == [1] * MOST_IN_FLIGHT + [12 - MOST_IN_FLIGHT]


def test_no_outage_holds_up_a_batch_for_ever() -> None:
    async def outage() -> float:
        started: list[float] = []

        async def never(_items: Sequence[int]) -> list[int]:
            started.append(asyncio.get_running_loop().time())
            await asyncio.sleep(60)
            return []

        batcher: Batcher[int, int] = Batcher(never, shape=lambda _: 0, max_size=1, delay_s=0.001, follows_load=True)
        waiting = [batcher.submit(number) for number in range(MOST_IN_FLIGHT + 1)]
        await asyncio.sleep(2 * MOST_HELD_S)
        batcher.close()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert len(started) == MOST_IN_FLIGHT + 1
        return started[-1]

    assert run_in_virtual_time(outage()) == pytest.approx(MOST_HELD_S, abs=0.01)


class Sent(NamedTuple):
    """When a batch was sent, and its items."""

    at_s: float
    items: list[str]


async def sent(urgent_at_s: Sequence[float], spare_s: float = 0.25) -> list[Sent]:
    """What was sent for an item that is in no hurry, and for others."""
    loop = asyncio.get_running_loop()
    batches: list[Sent] = []

    async def run(items: Sequence[str]) -> list[str]:
        batches.append(Sent(round(loop.time(), 3), list(items)))
        await asyncio.sleep(CALL_S)
        return list(items)

    batcher: Batcher[str, str] = Batcher(run, shape=lambda _: 0, max_size=16, delay_s=DELAY_S, follows_load=True)

    async def urgent(at_s: float) -> None:
        await asyncio.sleep(at_s)
        await batcher.answer("urgent")

    await asyncio.gather(batcher.answer("spare", spare_s), *map(urgent, urgent_at_s))
    await asyncio.sleep(2 * spare_s)
    batcher.close()
    return batches


def test_what_is_in_no_hurry_goes_with_the_next_request() -> None:
    assert run_in_virtual_time(sent([0.1, 0.2])) == [Sent(0.1, ["spare", "urgent"]), Sent(0.2, ["urgent"])]


def test_what_is_in_no_hurry_goes_alone_when_its_time_is_over() -> None:
    assert run_in_virtual_time(sent([0.3])) == [Sent(0.25, ["spare"]), Sent(0.3, ["urgent"])]


def test_what_is_in_no_hurry_fills_requests_too() -> None:
    async def full() -> float:
        batcher: Batcher[int, int] = Batcher(_same, shape=lambda _: 0, max_size=4, delay_s=DELAY_S, follows_load=True)
        await asyncio.gather(*(batcher.answer(number, 60.0) for number in range(4)))
        return asyncio.get_running_loop().time()

    assert run_in_virtual_time(full()) == 0


async def _same(items: Sequence[int]) -> list[int]:
    return list(items)
