"""Which errors count as an outage of Redis."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from stream.sinks.connection import is_outage, waiting_out

CUT = RuntimeError("unable to perform operation on <TCPTransport closed=True reading=False 0x55>; the handler is closed")


@pytest.mark.parametrize(
    ("error", "passes"), [(CUT, True), (RedisConnectionError("x"), True), (RuntimeError("broken"), False), (ResponseError("x"), False)]
)
def test_outages_are_told_from_errors(error: Exception, *, passes: bool) -> None:
    assert is_outage(error) is passes


async def test_a_write_to_a_connection_that_has_just_been_cut_is_repeated() -> None:
    attempts: list[int] = []

    async def call(attempt: int) -> str:
        attempts.append(attempt)
        if attempt == 0:
            raise CUT
        return "answer"

    assert await waiting_out(call) == "answer"
    assert attempts == [0, 1]
