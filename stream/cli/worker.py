"""`sentistream worker`: runs one worker on the services of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import CommandError, friendly_errors
from stream.cli.options import ConfigFile, KafkaAddress, RedisUrl, TritonAddress, load_settings_with

if TYPE_CHECKING:
    from stream.domain.service_problem import ServiceProblem


@friendly_errors()
def worker(
    config: ConfigFile = None,
    kafka: KafkaAddress = None,
    redis: RedisUrl = None,
    triton: TritonAddress = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the number of assigned partitions to this file after each assignment, for scripts that wait for the worker.",
        ),
    ] = None,
) -> None:
    """Run one worker until Ctrl-C or SIGTERM.

    Use it in production, on a Kafka, a Redis and a Triton that run already; `sentistream up` starts all of them on this machine. A worker
    reads the chunk topics, aligns, scores and explains windows, and publishes the results to Redis and Kafka. Start several to share the
    load, at most one for each partition. When a worker stops, the others take over its partitions, and nothing is lost.

    The first signal lets it publish the windows that are closed (for at most `limits.drain_s`), a second one ends it at once.

    At its start it waits for Redis and Triton, but exits with 1 if Kafka is away. If a service is not what the settings say, so that
    waiting cannot help, it exits with 3, for example at Triton's HTTP port or a refused login. Later it waits; only if Kafka no longer lets
    it read, or be in its group, it stops in order and exits with 3, and nothing is lost.

    Example: `sentistream worker --kafka broker:9092 --redis redis://store:6379/0 --triton triton:8001`
    """
    import asyncio  # noqa: PLC0415 - heavy imports stay out of --help

    import structlog  # noqa: PLC0415
    import uvloop  # noqa: PLC0415

    from stream.agents.app import WorkerCrashedError  # noqa: PLC0415
    from stream.agents.worker import run_worker  # noqa: PLC0415
    from stream.config.logs import configure_logging  # noqa: PLC0415
    from stream.kafka_admin.topics import ensure_topics  # noqa: PLC0415

    settings = load_settings_with(config, kafka=kafka, redis=redis, triton=triton)
    configure_logging(settings)

    def log_note(note: ServiceProblem) -> None:
        structlog.get_logger("stream.cli.worker").warning("service_note", service="kafka", code=note.code, what=note.text)

    ensure_topics(settings.kafka, on_note=log_note)
    # The policy, not only this loop: Faust reads from Kafka in a thread with a loop of its own.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    try:
        asyncio.run(run_worker(settings, ready_file))
    except WorkerCrashedError as error:
        raise CommandError(f"the worker stopped on an unexpected error ({error}); the log above says where; nothing is lost") from error
