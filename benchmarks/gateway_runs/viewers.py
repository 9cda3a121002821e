"""Viewers of the live stream, in one process: ``python -m benchmarks.gateway_runs.viewers``. Some of them stall: they never read."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
import numpy as np

_BATCH_AT = re.compile(rb'data: \{"at_ms":(\d+)')
STALLED_BUFFER_BYTES = 8 * 1024
WARM_UP_S = 5.0


@dataclass(slots=True)
class Seen:
    """What the viewers have seen.

    Attributes:
        ages_ms: Age of each batch at its arrival, by its own time.
        gaps: Events that told a viewer of a gap.
        cut_off: Streams of viewers who read that have ended before their time.
        bytes_read: Of all of them, unpacked.
    """

    ages_ms: list[float] = field(default_factory=list)
    gaps: int = 0
    cut_off: int = 0
    bytes_read: int = 0


async def watch(client: aiohttp.ClientSession, url: str, until: float, seen: Seen) -> None:
    """Read a stream, as a browser does in gzip, until a time of the loop (s)."""
    began, rest = time.monotonic(), b""
    try:
        async with asyncio.timeout_at(until), client.get(url, headers={"Accept": "text/event-stream"}) as answer:
            async for part in answer.content.iter_any():
                now_ms = time.time() * 1000
                seen.bytes_read += len(part)
                text = rest + part
                if time.monotonic() - began > WARM_UP_S:
                    seen.ages_ms += [now_ms - int(at) for at in _BATCH_AT.findall(text)]
                    seen.gaps += text.count(b"event: gap\n")
                rest = text[-40:] if not _BATCH_AT.search(text[-40:]) else b""
        seen.cut_off += 1
    except TimeoutError:
        pass


async def stall(url: str, until: float) -> bool:
    """Ask for a stream and read nothing of it. Returns whether the gateway has closed it before the time (monotonic, s)."""
    address = urlsplit(url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STALLED_BUFFER_BYTES)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (address.hostname, address.port))
    await loop.sock_sendall(connection, _request(url))
    try:
        while loop.time() < until:
            await asyncio.sleep(1.0)
            with contextlib.suppress(OSError):
                if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or _is_closed(connection):
                    return True
        return False
    finally:
        connection.close()


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed the connection: TCP_INFO's state is no longer ESTABLISHED (1)."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 1


def _request(url: str) -> bytes:
    address = urlsplit(url)
    return f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nAccept-Encoding: gzip\r\n\r\n".encode()


async def run(url: str, viewers: int, stalled: int, seconds: float) -> dict[str, object]:
    """Watch for a while, and say what was seen."""
    until, seen = asyncio.get_running_loop().time() + seconds, Seen()
    connector, no_limit = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=no_limit) as client:
        watching = [watch(client, url, until, seen) for _ in range(viewers - stalled)]
        closed, _ = await asyncio.gather(asyncio.gather(*(stall(url, until) for _ in range(stalled))), asyncio.gather(*watching))
    p50, p95, p99 = np.percentile(seen.ages_ms or [float("nan")], (50, 95, 99))
    return {
        "viewers": viewers,
        "stalled": stalled,
        "stalled_dropped": sum(closed),
        "batches": len(seen.ages_ms),
        "batch_ms": {"p50": round(float(p50), 1), "p95": round(float(p95), 1), "p99": round(float(p99), 1)},
        "gaps": seen.gaps,
        "cut_off": seen.cut_off,
        "unpacked_mb_per_s": round(seen.bytes_read / seconds / 1e6, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the arguments, and watch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--viewers", type=int, required=True)
    parser.add_argument("--stalled", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args(arguments)
    print(json.dumps(asyncio.run(run(given.url, given.viewers, given.stalled, given.seconds))), flush=True)


if __name__ == "__main__":
    main()
