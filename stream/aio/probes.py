"""Cheap checks whether a server listens or answers."""

from __future__ import annotations

import asyncio
import contextlib

PROBE_TIMEOUT_S = 1.0
"""A server that is up answers in milliseconds; a check that fails is repeated or reported, so it may be short."""

BODY_BYTES = 4096
"""Enough to recognise an answer."""


async def exchange(host: str, port: int, request: bytes, timeout_s: float = PROBE_TIMEOUT_S) -> bytes | None:
    """Send a request and return the first bytes of the answer (empty for an empty request); None if there is no answer in time."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                await writer.drain()
                return await reader.read(512) if request else b""
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return None


async def listens(host: str, port: int) -> bool:
    """True if a server accepts connections on the port."""
    return await exchange(host, port, b"") is not None


async def redis_answers(host: str, port: int) -> bool:
    """True if a Redis answers that has loaded its data. While it loads it answers with an error instead."""
    return await exchange(host, port, b"PING\r\n") == b"+PONG\r\n"


async def http_ok(host: str, port: int, path: str) -> bool:
    """True if a GET of the path answers with status 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii")
    answer = await exchange(host, port, request)
    return answer is not None and answer.startswith(b"HTTP/1.1 200")


async def http_body(host: str, port: int, path: str, timeout_s: float = PROBE_TIMEOUT_S) -> bytes:
    """The beginning of the answer to a GET of the path, with its headers; empty without an answer in time."""
    received = b""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("ascii"))
                while len(received) < BODY_BYTES and (part := await reader.read(BODY_BYTES)):
                    received += part
            finally:
                writer.close()
    return received
