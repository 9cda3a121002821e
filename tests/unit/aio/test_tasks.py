"""Background tasks whose failures are reported."""

from __future__ import annotations

import asyncio

from stream.aio.tasks import TaskSet


async def fail() -> None:
    raise ValueError("failed")


async def test_a_failure_is_reported_and_the_task_forgotten() -> None:
    failures: list[BaseException] = []
    tasks = TaskSet(failures.append)
    tasks.spawn(fail())
    assert len(tasks) == 1
    await asyncio.sleep(0.01)
    assert [str(error) for error in failures] == ["failed"]
    assert len(tasks) == 0


async def test_a_cancelled_task_has_not_failed() -> None:
    failures: list[BaseException] = []
    tasks = TaskSet(failures.append)
    task = tasks.spawn(asyncio.sleep(60))
    tasks.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert failures == []
    assert len(tasks) == 0


async def test_a_watched_task_is_reported_but_not_cancelled() -> None:
    failures: list[BaseException] = []
    tasks = TaskSet(failures.append)
    release = asyncio.Event()

    async def wait_and_fail() -> None:
        await release.wait()
        raise ValueError("failed")

    task = asyncio.create_task(wait_and_fail())
    tasks.watch(task)
    tasks.cancel()
    release.set()
    await asyncio.wait({task})
    await asyncio.sleep(0)
    assert [str(error) for error in failures] == ["failed"]


async def test_joining_waits_for_the_tasks_that_run_now() -> None:
    tasks = TaskSet(lambda _error: None)
    ended: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0.01 * number)
        ended.append(number)

    for number in (2, 1):
        tasks.spawn(work(number))
    await tasks.join()
    assert ended == [1, 2]
