"""Calls that are repeated until a service answers again."""

from __future__ import annotations

import asyncio

import pytest

from stream.aio.backoff import Backoff
from stream.aio.outage import wait_out

AT_ONCE = Backoff(first_s=0.0, cap_s=0.0)


class Service:
    """Is away for some calls, then answers; remembers which attempt each call was."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.attempts: list[int] = []

    async def call(self, failures: int) -> str:
        self.attempts.append(failures)
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def is_outage(error: Exception) -> bool:
    return isinstance(error, ConnectionError)


async def test_an_outage_is_waited_out_and_reported_with_its_recovery() -> None:
    service, outages, recoveries = Service(ConnectionError(), ConnectionError()), list[int](), list[int]()
    answer = await wait_out(
        service.call, is_outage=is_outage, backoff=AT_ONCE, on_outage=lambda _error, n: outages.append(n), on_recovery=recoveries.append
    )
    assert answer == "answer"
    assert (service.attempts, outages, recoveries) == ([0, 1, 2], [1, 2], [2])


async def test_a_service_that_answers_at_once_is_reported_neither_as_away_nor_as_back() -> None:
    reports: list[object] = []
    await wait_out(Service().call, is_outage=is_outage, backoff=AT_ONCE, on_outage=lambda *n: reports.append(n), on_recovery=reports.append)
    assert reports == []


async def test_any_other_error_is_raised_at_once() -> None:
    service = Service(ConnectionError(), ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        await wait_out(service.call, is_outage=is_outage, backoff=AT_ONCE)
    assert service.attempts == [0, 1]


async def test_cancelling_ends_it_during_a_pause() -> None:
    service = Service(*[ConnectionError()] * 1000)
    task = asyncio.create_task(wait_out(service.call, is_outage=is_outage, backoff=Backoff(first_s=60.0, cap_s=60.0)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert service.attempts == [0]


async def test_a_cancellation_that_the_call_swallowed_still_ends_it() -> None:
    """`asyncio.wait_for` of Python 3.11 may return its result although the task was cancelled."""

    async def swallowing(_failures: int) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return "answer"
        return "not cancelled"

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(wait_out(swallowing, is_outage=is_outage, backoff=AT_ONCE))


async def test_a_cancellation_that_became_an_outage_ends_it() -> None:
    """The write that `asyncio.wait_for` of Python 3.11 waited for may fail just as the task is cancelled: then its error is raised."""
    attempts: list[int] = []

    async def failing(failures: int) -> None:
        attempts.append(failures)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as cancelled:
            raise ConnectionError from cancelled

    task = asyncio.create_task(wait_out(failing, is_outage=is_outage, backoff=AT_ONCE))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert attempts == [0]
