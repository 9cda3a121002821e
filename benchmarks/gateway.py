"""The live page with many sessions and many viewers: ``python -m benchmarks.gateway``.

One Redis, into which the worker's own sink writes the results of 500 sessions at live pace; one gateway; 200 viewers of its stream, 20 of
whom never read; and one board in a real Chromium, which scrolls. The last line of the output is JSON: how late an update is painted, from
the moment at which its window is written to Redis; how often the page blocks for more than 200 ms; and the largest memory of the gateway.

    python -m benchmarks.gateway > /tmp/run && tail -n 1 /tmp/run > benchmarks/results/gateway.json
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gateway_runs.page import LONG_MS, scroll_board
from benchmarks.machine import machine, versions
from stream.aio.probes import exchange
from stream.config.settings import Settings
from stream.local.environment import child_environment
from stream.local.ports import LOOPBACK
from stream.local.redis_server import RedisServer
from tests.support.settings import own_settings

GOALS = {"update_p95_ms": 1000.0, "long_tasks": 0, "rss_mb": 300.0}
WARM_UP_S = 8.0
PAST = 60
"""Windows that each session has had before: as many as the line of a row shows."""
STORE = "/assets/store.js"
"""The module of the page that receives the batches."""
HERTZ = 100
"""Ticks a second in which Linux counts CPU time."""


async def measure(sessions: int, viewers: int, stalled: int, seconds: float) -> dict[str, Any]:
    """Run everything, and return the result."""
    watched_s = WARM_UP_S + seconds + 4
    with tempfile.TemporaryDirectory(prefix="sentistream-gateway-") as directory:
        redis = RedisServer(Path(directory))
        await redis.start()
        try:
            settings = own_settings("bench", "127.0.0.1:1", redis.url)
            writer = await _module("benchmarks.gateway_runs.writer", redis.url, sessions=sessions, past=PAST, seconds=watched_s + 10)
            await _line(writer)  # the past is written
            redis_kb = await _redis_kb(redis.port) / sessions
            print(f"{sessions} sessions with {PAST} windows each are in Redis", flush=True)
            async with _gateway(settings) as (pid, address):
                looking = await _module(
                    "benchmarks.gateway_runs.viewers", f"{address}api/v1/stream", viewers=viewers, stalled=stalled, seconds=watched_s
                )
                before = _cpu_s(pid)
                painted = await scroll_board(address, seconds, warm_up_s=WARM_UP_S, store=STORE)
                cpu_s = _cpu_s(pid) - before
                seen = await _line(looking)
                print(f"page: {painted}\nviewers: {seen}", flush=True)
                rss_mb = _peak_mb(pid)
            written = await _line(writer)
        finally:
            await redis.stop()
    return {
        "sessions": sessions,
        "viewers": viewers,
        "update_p95_ms": painted.update_ms["p95"],
        "long_tasks": painted.long_tasks,
        "rss_mb": rss_mb,
        "page": asdict(painted),
        "streams": seen,
        "redis_kb_per_session": round(redis_kb, 1),
        "past_windows": PAST,
        "gateway_cpu_percent": round(100 * cpu_s / (WARM_UP_S + seconds), 1),
        "written": {name: written[name] for name in ("records", "latest_ms")},
        "goals": GOALS,
        "machine": machine(),
        "versions": versions("litestar", "uvicorn", "redis"),
    }


@asynccontextmanager
async def _gateway(settings: Settings) -> AsyncIterator[tuple[int, str]]:
    """Run the command; yields its process and its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stream.cli", "gateway", "--port", "0"),
        env=child_environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=sys.stderr,
    )
    assert process.stdout is not None  # noqa: S101 - asked for above
    try:
        line = (await process.stdout.readline()).decode()
        yield process.pid, line.split()[2]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _module(name: str, argument: str, **options: object) -> asyncio.subprocess.Process:
    given = [text for option, value in options.items() for text in (f"--{option}", str(value))]
    return await asyncio.create_subprocess_exec(sys.executable, "-m", name, argument, *given, stdout=asyncio.subprocess.PIPE)


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101 - asked for above
    line: dict[str, Any] = json.loads(await process.stdout.readline())
    return line


async def _redis_kb(port: int) -> float:
    """Memory of Redis in use."""
    answer = await exchange(LOOPBACK, port, b"INFO memory\r\n") or b""
    return int(answer.partition(b"used_memory:")[2].split()[0]) / 1000


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / HERTZ


def _peak_mb(pid: int) -> float:
    """Largest resident memory so far."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1024, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the result, and return 1 if it misses a goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--stalled", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=40.0)
    given = parser.parse_args(arguments)
    result = asyncio.run(measure(given.sessions, given.viewers, given.stalled, given.seconds))
    missed = [name for name, goal in GOALS.items() if not result[name] <= goal]
    print(f"goals missed: {', '.join(missed)}" if missed else f"all goals reached (long tasks: over {LONG_MS} ms)")
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
