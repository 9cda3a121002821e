"""A worker process for delivery tests: the real Faust app, Kafka and Redis, but a scorer that only counts words.

``python -m tests.support.delivery_worker READY_FILE [SECONDS_TO_SCORE_A_WINDOW]``; SENTISTREAM_* variables set the addresses of
the services.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from stream.agents.app import WorkerApp
from stream.aio.signals import stop_on_signals
from stream.config.load import load_settings
from stream.config.logs import configure_logging
from stream.rules.evaluate import RuleSet
from stream.rules.read import read_rules
from stream.sinks.redis_sink import RedisSink
from tests.fakes.processing_context import FakeEncoder, FakeScorer


async def main(ready_file: Path, scoring_s: float) -> None:
    """Run until SIGTERM."""
    settings = load_settings()
    configure_logging(settings)
    stop = asyncio.Event()
    stop_on_signals(stop)
    store = RedisSink(settings.redis)
    with tempfile.TemporaryDirectory() as directory:
        app = WorkerApp(
            settings,
            Path(directory),
            store=store,
            scorer=FakeScorer(delays=dict.fromkeys(range(0, 60_000, 1000), scoring_s)),
            new_encoder=FakeEncoder,
            on_ready=lambda partitions: _write(ready_file, partitions),
            rules=None if settings.alerts.rules is None else RuleSet(read_rules(settings.alerts.rules)),
        )
        await app.run(stop)
    await store.close()


def _write(path: Path, partitions: int) -> None:
    path.write_text(str(partitions))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))
