"""Calls to a real Redis whose task is cancelled."""

from __future__ import annotations

import asyncio

from pydantic import SecretStr

from stream.config.service_settings import RedisSettings
from stream.sinks.connection import RedisConnection


async def test_a_cancellation_ends_a_task_at_each_step_of_its_calls(redis_url: str) -> None:
    """Up to Python 3.11, redis-py swallows some of them: without the check of `RedisConnection`, about ten of these tasks would go on."""
    connection = RedisConnection(RedisSettings(url=SecretStr(redis_url), timeout_s=1.0))
    await connection.once(lambda redis: redis.ping())

    async def ask_for_ever() -> None:
        while not over:
            await connection.once(lambda redis: redis.ping())

    over, went_on = False, list[int]()
    for steps in range(200):
        task = asyncio.create_task(ask_for_ever())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=2)
        if not task.cancelled():
            over = True
            await task
            over = False
            went_on.append(steps)
    await connection.close()
    assert went_on == [], "cancelled after so many steps of the event loop"
