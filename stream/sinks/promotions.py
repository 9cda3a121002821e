"""Which version of ``mmci`` new epochs get, and which versions open epochs keep, in Redis: the same for all workers, across restarts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from stream.config.service_settings import RedisSettings
from stream.domain.identity import SessionKey
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import MODELS, SESSIONS, session_names
from stream.sinks.scripts import PROMOTE, Argument

PAGE = 200
"""Sessions whose pins are read in one round trip."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The version that new epochs get.

    Attributes:
        version: The version; None if none was ever promoted.
        previous: The version before it, to which a rollback goes back; None if there is none.
        at_ms: When it was promoted (Unix ms); 0 if none was.
    """

    version: str | None
    previous: str | None
    at_ms: int


class Promotions:
    """Reads and changes the version in force. Each call is tried once; raises `stream.sinks.problems.RedisUnusableError`."""

    def __init__(self, settings: RedisSettings) -> None:
        self._redis = RedisConnection(settings)

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.close()

    async def in_force(self) -> InForce:
        """The version that new epochs get."""
        stored = cast(dict[str, str], await self._redis.once(lambda redis: redis.hgetall(MODELS)))
        return InForce(stored.get("current"), stored.get("previous") or None, int(stored.get("at_ms", 0)))

    async def promote(self, version: str, before: str) -> InForce:
        """Let new epochs get a version, in one atomic step.

        Args:
            version: The version.
            before: The version in force if none was ever promoted.
        """
        args: list[Argument] = [version, before, round(time.time() * 1000)]
        await self._redis.once(lambda redis: PROMOTE.run(redis, [MODELS], args))
        return await self.in_force()

    async def roll_back(self) -> InForce | None:
        """Let new epochs get the version before again, which then has no version before it; None if there is none to go back to."""
        previous = (await self.in_force()).previous
        if previous is None:
            return None
        args: list[Argument] = [previous, "", round(time.time() * 1000)]
        await self._redis.once(lambda redis: PROMOTE.run(redis, [MODELS], args))
        return await self.in_force()

    async def open_epochs(self) -> Mapping[str, int]:
        """By version, the open epochs that keep it: those without a summary, of sessions whose results have not expired."""
        sessions = [SessionKey.parse(str(name)) for name in await self._redis.once(lambda redis: redis.zrange(SESSIONS, 0, -1))]
        counts: Counter[str] = Counter()
        for first in range(0, len(sessions), PAGE):
            counts.update(await self._pins(sessions[first : first + PAGE]))
        return counts

    async def _pins(self, sessions: list[SessionKey]) -> list[str]:
        async def read(redis: RedisClient) -> list[object]:
            async with redis.pipeline(transaction=False) as pipe:
                for session in sessions:
                    pipe.hgetall(session_names(session).state)
                    pipe.hget(session_names(session).summary, "epoch")
                return list(await pipe.execute())

        answers = await self._redis.once(read)
        states, summarised = cast(list[dict[str, str]], answers[::2]), cast(list[str | None], answers[1::2])
        return [
            version
            for state, last in zip(states, summarised, strict=True)
            for field, version in state.items()
            if field.startswith("model:") and int(field.removeprefix("model:")) > int(-1 if last is None else last)
        ]
