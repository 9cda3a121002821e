"""The log format. A log line has a fixed event name, counts, positions and reasons; it never holds words, sound or pictures of a person."""

from __future__ import annotations

import logging
import sys

import structlog

from stream.config.settings import Settings


def configure_logging(settings: Settings) -> None:
    """Send the service's events and the libraries' warnings to standard error, as text or as one JSON object a line."""
    level = getattr(logging, settings.log_level.upper())
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    as_json = settings.log_format == "json"
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    # Tracebacks without local variables, because those may hold words, samples or pictures.
    traceback = structlog.processors.format_exc_info
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, traceback, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("stream").setLevel(level)
    # kafka-python warns when decompressing a large batch takes more than 0.1 s, which is no fault.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
