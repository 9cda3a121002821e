"""Sessions on a running stack: a worker of one's own, commands as a user runs them, and recordings that are sent and waited for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from stream.config.settings import Settings
from stream.domain.identity import SessionKey
from stream.domain.result import ScoreRecord, SessionRecord
from stream.local.environment import child_environment
from stream.sinks.reader import ResultReader
from stream.sinks.redis_sink import RedisSink

PATIENCE_S = 600


@asynccontextmanager
async def worker(settings: Settings, log: Path) -> AsyncIterator[None]:
    """Run a worker until the block ends."""
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stream.cli", "worker"), env=child_environment(settings), stdout=file, stderr=file
        )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def command(settings: Settings, *arguments: str) -> None:
    """Run a command of sentistream. Raises `SystemExit` if it fails."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stream.cli", *arguments), env=child_environment(settings), stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise SystemExit(f"sentistream {' '.join(arguments)} has failed")


async def sent(settings: Settings, recording: Path, session: str, *options: str) -> list[ScoreRecord]:
    """Send a recording as fast as possible, and wait for its summary; returns its final windows."""
    await command(settings, "produce", str(recording), "--session", session, "--speed", "max", *options)
    return await finals_when_over(settings, SessionKey("default", session), PATIENCE_S)


async def finals_when_over(settings: Settings, session: SessionKey, patience_s: float) -> list[ScoreRecord]:
    """Wait for a session's summary; returns its final windows. Raises ``TimeoutError``."""
    sink = RedisSink(settings.redis)
    async with asyncio.timeout(patience_s), ResultReader(settings.redis, [session]) as reader:
        async for received in reader:
            if isinstance(received.record, SessionRecord):
                break
    finals = await sink.finals(session)
    await sink.close()
    return finals
