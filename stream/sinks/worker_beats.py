"""What workers say of themselves, in one hash of Redis."""

from __future__ import annotations

from typing import cast

import msgspec
from msgspec.structs import replace

from stream.domain.worker_beat import WorkerBeat
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import WORKERS

BEAT_S = 5.0
"""Time between two beats."""
GONE_MS = 15 * 60_000
"""A worker whose last beat is older is forgotten by who reads the beats."""
KEPT_S = 86_400
"""Time after the last beat of any worker at which Redis forgets all of them, where nobody reads."""


class WorkerBeats:
    """Reads and writes the beats. Each call is tried once; raises `stream.sinks.problems.RedisUnusableError`.

    Args:
        redis: The connection. Whoever made it closes it.
    """

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis

    async def put(self, beat: WorkerBeat) -> None:
        """Write a worker's newest beat, with Redis's time."""
        stamped = msgspec.json.encode(replace(beat, at_ms=await self._now_ms())).decode()

        async def call(redis: RedisClient) -> None:
            async with redis.pipeline(transaction=False) as pipe:
                pipe.hset(WORKERS, beat.worker, stamped)
                pipe.expire(WORKERS, KEPT_S)
                await pipe.execute()

        await self._redis.once(call)

    async def remove(self, worker: str) -> None:
        """Remove the beat of a worker that stops."""
        await self._redis.once(lambda redis: redis.hdel(WORKERS, worker))

    async def all(self) -> tuple[int, list[WorkerBeat]]:
        """The time of Redis (Unix ms), and the last beat of each worker, the oldest worker first."""
        now_ms = await self._now_ms()
        stored = cast(dict[str, str], await self._redis.once(lambda redis: redis.hgetall(WORKERS)))
        beats = {worker: _beat(text) for worker, text in stored.items()}
        gone = [worker for worker, beat in beats.items() if beat is None or beat.at_ms < now_ms - GONE_MS]
        if gone:
            await self._redis.once(lambda redis: redis.hdel(WORKERS, *gone))
        kept = [beat for worker, beat in beats.items() if beat is not None and worker not in gone]
        return now_ms, sorted(kept, key=lambda beat: (beat.since_ms, beat.worker))

    async def _now_ms(self) -> int:
        seconds, micros = await self._redis.once(lambda redis: redis.time())
        return int(seconds) * 1000 + int(micros) // 1000


def _beat(text: str) -> WorkerBeat | None:
    try:
        return msgspec.json.decode(text, type=WorkerBeat)
    except msgspec.MsgspecError:
        return None
