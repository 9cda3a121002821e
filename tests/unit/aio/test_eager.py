from __future__ import annotations

import asyncio

import pytest

from stream.aio.eager import Suspended, start_eagerly


async def test_a_coroutine_that_never_waits_has_its_result_at_once() -> None:
    async def answer() -> int:
        return 42

    assert start_eagerly(answer()) == (42,)


async def test_an_error_before_the_first_wait_is_raised_at_once() -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        start_eagerly(fail())


async def test_the_rest_of_a_coroutine_continues_in_another_task() -> None:
    gate, steps = asyncio.Event(), list[str]()

    async def work() -> str:
        steps.append("begun")
        await gate.wait()
        steps.append("after the gate")
        await asyncio.sleep(0)
        return "done"

    rest = start_eagerly(work())
    assert isinstance(rest, Suspended)
    assert steps == ["begun"]
    task = asyncio.ensure_future(rest)
    await asyncio.sleep(0.01)
    assert steps == ["begun"]
    gate.set()
    assert await task == "done"
    assert steps == ["begun", "after the gate"]


async def test_errors_and_cancellation_reach_the_coroutine() -> None:
    noticed = []

    async def work(future: asyncio.Future[None]) -> None:
        try:
            await future
        except BaseException as error:
            noticed.append(type(error))
            raise

    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    failing = asyncio.ensure_future(_rest(work(broken)))
    await asyncio.sleep(0)
    broken.set_exception(ValueError("x"))
    with pytest.raises(ValueError, match="x"):
        await failing
    cancelled = asyncio.ensure_future(_rest(work(asyncio.get_running_loop().create_future())))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert noticed == [ValueError, asyncio.CancelledError]


def _rest(coroutine) -> Suspended[None]:  # type: ignore[no-untyped-def]
    rest = start_eagerly(coroutine)
    assert isinstance(rest, Suspended)
    return rest
