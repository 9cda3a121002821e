"""A cancellation that a library has swallowed still ends the task."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from stream.aio.cancellation import CancellationGuard


async def test_a_swallowed_cancellation_is_noticed() -> None:
    async def library() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(10)

    async def ours() -> None:
        guard = CancellationGuard()
        guard.check()
        await library()
        guard.check()
        await asyncio.sleep(10)

    task = asyncio.create_task(ours())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)


async def test_an_earlier_cancellation_does_not_count() -> None:
    """A task that cleans up after its cancellation may still make calls that use a guard."""
    done = asyncio.Event()

    async def ours() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            CancellationGuard().check()
            done.set()

    task = asyncio.create_task(ours())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert done.is_set()


async def test_a_timeout_that_expired_is_no_cancellation() -> None:
    guard = CancellationGuard()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.sleep(10)
    guard.check()
