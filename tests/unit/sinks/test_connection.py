"""Which errors count as an outage of Redis, and that calls are repeated through one."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from stream.config.service_settings import RedisSettings
from stream.sinks.connection import RedisClient, RedisConnection, is_outage

CUT = RuntimeError("unable to perform operation on <TCPTransport closed=True reading=False 0x55>; the handler is closed")


@pytest.mark.parametrize(
    ("error", "passes"), [(CUT, True), (RedisConnectionError("x"), True), (RuntimeError("broken"), False), (ResponseError("x"), False)]
)
def test_outages_are_told_from_errors(error: Exception, *, passes: bool) -> None:
    assert is_outage(error) is passes


async def test_a_write_to_a_connection_that_has_just_been_cut_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[int] = []
    connection = RedisConnection(RedisSettings(url=SecretStr("redis://nobody:1/0")))

    async def client() -> None:
        """None is enough for a call that does not use it."""

    async def call(_redis: RedisClient, attempt: int) -> str:
        attempts.append(attempt)
        if attempt == 0:
            raise CUT
        return "answer"

    monkeypatch.setattr(connection, "client", client)
    assert await connection.waiting_out(call) == "answer"
    assert attempts == [0, 1]
    assert connection.trouble is None
