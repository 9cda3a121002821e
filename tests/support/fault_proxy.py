"""A TCP proxy on loopback that can cut or stall the network between two processes, and restore it."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Self

from stream.local.ports import LOOPBACK, free_port

BLOCK = 65_536


class FaultProxy:
    """Async context manager that forwards every connection to ``target_port``, except while it is cut or stalled.

    Args:
        target_port: Port on loopback to which it forwards.
        port: Port to listen on; 0 = any free port.
    """

    def __init__(self, target_port: int, port: int = 0) -> None:
        self.port = port or free_port()
        self._target_port = target_port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    async def __aenter__(self) -> Self:
        await self.restore()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def cut(self) -> None:
        """Reset all connections and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writers in self._connections.values():
            for writer in writers:
                _reset(writer)
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stall(self) -> None:
        """Forward nothing: connections stay open, and what is sent waits until `restore`."""
        self._flowing.clear()

    async def restore(self) -> None:
        """Forward again, beginning with what waits, and accept new connections."""
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self._server is None:
            writer.transport.abort()
            return
        self._connections[task] = (writer,)
        try:
            await self._flowing.wait()
            target_reader, target_writer = await asyncio.open_connection(LOOPBACK, self._target_port)
            self._connections[task] = (writer, target_writer)
            await self._join((reader, target_writer), (target_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # one side is gone, or the proxy is cut: the other side is aborted below
        finally:
            for side in self._connections.pop(task):
                side.transport.abort()

    async def _join(self, *directions: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Forward in both directions until one of them ends."""
        pumps = [asyncio.create_task(self._pump(source, sink)) for source, sink in directions]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while block := await source.read(BLOCK):
            await self._flowing.wait()
            sink.write(block)
            await sink.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection so that the peer sees a reset instead of an orderly end."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
