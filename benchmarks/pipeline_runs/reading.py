"""The cost of reading alone: the worker's own Kafka app, which acknowledges every record and does nothing else.

``python -m benchmarks.pipeline_runs.reading BOOTSTRAP TOPIC_PREFIX REDIS_URL DIRECTORY``; SENTISTREAM_* variables give further settings.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from faust.types import EventT

from stream.agents.app import WorkerApp
from stream.aio.signals import stop_on_signals
from stream.config.load import load_settings
from stream.config.settings import Settings
from stream.encoders.text import Tokenizer
from stream.media.sandbox import Sandbox
from stream.pipeline.encode import ChunkEncoder
from stream.pipeline.score import WindowScorer
from stream.pipeline.timings import Timings
from stream.serving.models import Models
from stream.sinks.redis_sink import RedisSink


class Reader(WorkerApp):
    """A worker that only reads and acknowledges."""

    async def _on_event(self, event: EventT[Any]) -> None:
        self._commits.deliver(event.message.tp, event.message.offset)
        event.ack()


async def run(reader: type[Reader], settings: Settings, directory: Path) -> None:
    """Run a worker of this class until SIGTERM."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    store, models, sandbox = RedisSink(settings.redis), Models(settings.triton), Sandbox(settings.sandbox)
    app = reader(
        settings,
        directory,
        store=store,
        scorer=WindowScorer(models, Tokenizer(), settings.windows.allowed_lateness_ms, Timings()),
        new_encoder=lambda _version: ChunkEncoder(sandbox, models, settings.audio, settings.video, settings.explanations),
        on_ready=lambda _partitions: None,
    )
    await app.run(stop)
    await models.close()
    await store.close()


if __name__ == "__main__":
    asyncio.run(run(Reader, load_settings(), Path(sys.argv[4])))
