"""`sentistream worker`: one Faust worker against configured services."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli.errors import CommandError, friendly_errors


@friendly_errors()
def worker(
    config: Annotated[Path | None, typer.Option(help="Settings file (YAML); default: $SENTISTREAM_CONFIG, else built-in values.")] = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Kafka brokers, separated by commas.")] = None,
    redis: Annotated[str | None, typer.Option(metavar="URL", help="Redis, as redis:// or rediss:// URL.")] = None,
    triton: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Triton's gRPC endpoint.")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Write the number of assigned input partitions here when ready.")] = None,
) -> None:
    """Run one worker until Ctrl-C or SIGTERM.

    Reads the chunk topics, aligns, scores and explains windows, and publishes them to Redis and the result topics. Start as many as
    you like: Kafka shares the partitions out among them. What a stopped worker had not published, the others read again.
    """
    import asyncio  # noqa: PLC0415 - heavy imports stay out of --help

    import uvloop  # noqa: PLC0415

    from stream.agents.app import WorkerCrashedError  # noqa: PLC0415
    from stream.agents.worker import run_worker  # noqa: PLC0415
    from stream.config.load import load_settings  # noqa: PLC0415
    from stream.config.logs import configure_logging  # noqa: PLC0415
    from stream.kafka_admin.topics import ensure_topics  # noqa: PLC0415

    services = {"kafka": ("bootstrap", kafka), "redis": ("url", redis), "triton": ("url", triton)}
    settings = load_settings(config, {name: {key: value} for name, (key, value) in services.items() if value is not None})
    configure_logging(settings)
    ensure_topics(settings.kafka)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # for the thread that reads from Kafka, too
    try:
        asyncio.run(run_worker(settings, ready_file))
    except WorkerCrashedError as error:
        raise CommandError(f"the worker stopped on an unexpected error ({error}); the log above says where, nothing is lost") from error
