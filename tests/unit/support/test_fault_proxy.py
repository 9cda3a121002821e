"""The fault proxy does to a connection what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from stream.local.ports import LOOPBACK
from tests.support.fault_proxy import FaultProxy


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, LOOPBACK, 0)
    async with FaultProxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float = 2.0) -> bytes:
    writer.write(b"hello\n")
    return await asyncio.wait_for(reader.readline(), seconds)


async def test_it_forwards(proxy: FaultProxy) -> None:
    first, second = [await asyncio.open_connection(LOOPBACK, proxy.port) for _ in range(2)]
    assert await ask(*first) == await ask(*second) == b"hello\n"
    assert proxy.connections == 2


async def test_a_cut_drops_connections_and_refuses_new_ones_until_restored(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    assert await ask(reader, writer) == b"hello\n"
    await proxy.cut()
    assert proxy.connections == 0
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 2)
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(LOOPBACK, proxy.port)
    await proxy.restore()
    assert await ask(*await asyncio.open_connection(LOOPBACK, proxy.port)) == b"hello\n"


async def test_a_stall_keeps_the_connection_and_delivers_afterwards(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    assert await ask(reader, writer) == b"hello\n"
    proxy.stall()
    with pytest.raises(TimeoutError):
        await ask(reader, writer, 0.2)
    await proxy.restore()
    assert await asyncio.wait_for(reader.readline(), 2) == b"hello\n"


async def test_closing_one_side_closes_the_other(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    assert await ask(reader, writer) == b"hello\n"
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 2) == b""
