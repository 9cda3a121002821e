"""One worker process: the parts are built, the Faust app runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tempfile
from pathlib import Path

import structlog

from stream.agents.app import WorkerApp
from stream.agents.health import Check, HealthServer
from stream.agents.stopping import stop_on_signals
from stream.config.settings import Settings
from stream.encoders.text import Tokenizer
from stream.media.sandbox import Sandbox
from stream.pipeline.encode import ChunkEncoder
from stream.pipeline.health import WorkerState
from stream.pipeline.score import WindowScorer
from stream.serving.models import Models
from stream.sinks.redis_sink import RedisSink

log = structlog.get_logger(__name__)


async def run_worker(settings: Settings, ready_file: Path | None = None) -> None:
    """Run until SIGINT or SIGTERM; a second one ends the process at once.

    Args:
        settings: The settings tree.
        ready_file: Written with the number of input partitions after each assignment.

    Raises:
        WorkerCrashedError: When an error that no rule covers stopped the worker.
        HealthPortError: The health endpoints cannot listen where they should.
    """
    stop = asyncio.Event()
    stop_on_signals(stop)
    state = WorkerState()
    async with contextlib.AsyncExitStack() as stack:
        models = Models(settings.triton)
        stack.push_async_callback(models.close)
        store = RedisSink(settings.redis)
        stack.push_async_callback(store.close)
        checks: dict[str, Check] = {"redis": store.ping, "triton": models.check_ready}
        await stack.enter_async_context(HealthServer(settings.health, state, checks))
        sandbox = Sandbox(settings.sandbox)
        await sandbox.start()
        stack.push_async_callback(sandbox.stop)
        scorer = WindowScorer(models, Tokenizer(), settings.windows.allowed_lateness_ms, state.timings)
        stack.callback(scorer.close)
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="sentistream-worker-"))

        def on_ready(partitions: int) -> None:
            log.info("ready", partitions=partitions)
            if ready_file is not None:
                ready_file.write_text(f"{partitions}\n")

        app = WorkerApp(
            settings,
            Path(directory),
            store=store,
            scorer=scorer,
            new_encoder=lambda: ChunkEncoder(
                sandbox, models, settings.audio, settings.video, find_voice=settings.windows.kind == "utterance"
            ),
            on_ready=on_ready,
            state=state,
        )
        calm_garbage_collection()
        await app.run(stop)


def calm_garbage_collection() -> None:
    """Leave out of every collection what has been loaded by now, and collect less often: a window is a thousand objects without cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
