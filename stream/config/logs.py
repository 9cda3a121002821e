"""The log format. A log line has a fixed event name, counts, positions and reasons; it never holds words, sound or pictures of a person."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

import structlog

from stream.config.settings import Settings

OWN = "stream"
REPEAT_S = 60.0
"""While Kafka is away, its client logs thirty lines a second; the service's own events say what is the matter."""


class RareRepeats(logging.Filter):
    """Lets the same statement of a library through once a minute. Statements of the service always pass.

    Args:
        clock: Seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._passed: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged."""
        if record.name == OWN or record.name.startswith(f"{OWN}."):
            return True
        statement, now = (record.pathname, record.lineno), self._clock()
        if now - self._passed.get(statement, float("-inf")) < REPEAT_S:
            return False
        self._passed[statement] = now
        return True


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
    # Loggers are not cached: one that had been used would stay with an earlier configuration.
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RareRepeats())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, traceback, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(OWN).setLevel(level)
    # kafka-python warns when decompressing a large batch takes more than 0.1 s, which is no fault.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    # It logs an error if a client is closed while it asks for metadata; an error that matters is raised.
    logging.getLogger("kafka.cluster").setLevel(logging.CRITICAL)
