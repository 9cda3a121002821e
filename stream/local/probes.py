"""Cheap questions to servers: do you listen, do you answer?"""

from __future__ import annotations

import asyncio
import contextlib

PROBE_TIMEOUT_S = 1.0


async def exchange(host: str, port: int, request: bytes, timeout_s: float = PROBE_TIMEOUT_S) -> bytes | None:
    """Send a request and return the first bytes of the answer (empty for an empty request); None when there is none in time."""
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
    """True when something accepts connections there."""
    return await exchange(host, port, b"") is not None


async def redis_answers(host: str, port: int) -> bool:
    """True when a Redis answers there, loaded and ready."""
    return await exchange(host, port, b"PING\r\n") == b"+PONG\r\n"


async def http_ok(host: str, port: int, path: str) -> bool:
    """True when a GET of the path answers 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii")
    answer = await exchange(host, port, request)
    return answer is not None and answer.startswith(b"HTTP/1.1 200")
