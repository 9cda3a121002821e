"""Sessions that stay open while something else happens, on a worker of a test's own, and commands as a user runs them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.running_sessions import finals_when_over
from stream.config.settings import Settings
from stream.domain.result import ScoreRecord
from stream.local.environment import child_environment
from stream.produce.prepare import MediaRequest, prepare
from stream.produce.producer import SendProgress, produce_session
from stream.produce.sample import FACES
from stream.sinks.redis_sink import RedisSink

HALF_MS = 10_000
"""Media that is sent of a clip before it waits."""

PATIENCE_S = 150


async def command(settings: Settings, *arguments: str, code: int = 0) -> str:
    """Run a command with settings, and without the corpora, as a user does; return its standard output."""
    environment = {name: value for name, value in child_environment(settings).items() if name != "SENTISTREAM_DATA"}
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "stream.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert ran.returncode == code, ran.stderr
    return ran.stdout


@asynccontextmanager
async def running_worker(settings: Settings, directory: Path) -> AsyncIterator[None]:
    """Run a worker until the block ends; it must then stop in order. It logs to ``worker.log``."""
    log = directory / "worker.log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stream.cli", "worker"), env=child_environment(settings), stdout=sink, stderr=sink
        )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        code = await asyncio.wait_for(process.wait(), 30)
    assert code == 0, log.read_text()[-2000:]


async def stream_clip(
    settings: Settings, transcript: Path, session: str, meanwhile: Callable[[], Awaitable[None]] | None
) -> list[ScoreRecord]:
    """Send the packaged clip with words, and wait for its summary; returns the final windows as Redis has them.

    Args:
        settings: Where the services are.
        transcript: The words.
        session: Name of the session.
        meanwhile: Is awaited when half of the clip is sent and its first window is final; then the rest is sent.
    """
    prepared = await asyncio.to_thread(prepare, MediaRequest(FACES, transcript, session=session))
    half, go_on = threading.Event(), threading.Event()

    def wait_at_half(progress: SendProgress) -> None:
        if progress.media_ms >= HALF_MS:
            half.set()
            go_on.wait()

    sink, key = RedisSink(settings.redis), prepared.plan.key
    sending = asyncio.ensure_future(asyncio.to_thread(produce_session, settings.kafka, prepared, speed=None, on_progress=wait_at_half))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (half.is_set() and await sink.finals(key)) and not sending.done():
                await asyncio.sleep(0.05)
        if meanwhile is not None:
            await meanwhile()
    finally:
        go_on.set()
        await sending
        await sink.close()
    return await finals_when_over(settings, key, PATIENCE_S)
