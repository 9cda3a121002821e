"""What is at the address of Redis, where it is no Redis."""

from __future__ import annotations

import asyncio

import pytest

from stream.config.service_settings import RedisSettings
from stream.sinks.examine import examine
from stream.sinks.problems import RedisProblem


@pytest.mark.parametrize(
    ("answers", "what"),
    [({b"srvr": b"Zookeeper version: 3.9\n"}, "a ZooKeeper"), ({b"GET ": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, "an HTTP server")],
)
async def test_another_server_at_the_address_of_redis_is_named(answers: dict[bytes, bytes], what: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read(1024)
        writer.write(next((said for begin, said in answers.items() if request.startswith(begin)), b""))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = (await examine(RedisSettings.model_validate({"url": f"redis://127.0.0.1:{port}/0"}), writes=True)).problem
    assert found is not None
    assert found.problem is RedisProblem.NOT_REDIS
    assert what in found.found
