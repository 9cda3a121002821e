"""Libraries may not flood the log, and loggers follow its configuration."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from stream.config.logs import REPEAT_S, RareRepeats, configure_logging
from stream.config.settings import Settings


@pytest.fixture
def configured() -> Iterator[None]:
    """Whatever a test configures ends with it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging(Settings())
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def record(name: str, line: int, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, f"{name}.py", line, "Unable connect to node %s", arguments, None)


def test_a_statement_of_a_library_passes_once_a_minute_and_ours_always() -> None:
    now_s = [0.0]
    rare = RareRepeats(lambda: now_s[0])
    passed = []
    for second in range(150):
        now_s[0] = float(second)
        passed += [second for _ in range(10) if rare.filter(record("aiokafka.client", 7, second))]
        assert rare.filter(record("stream.agents.worker", 7))
    assert passed == [0, int(REPEAT_S), int(2 * REPEAT_S)]
    assert rare.filter(record("aiokafka.client", 8))
    assert rare.filter(record("streaming", 7))
    assert not rare.filter(record("streaming", 7))


@pytest.mark.usefixtures("configured")
def test_a_logger_that_was_used_follows_a_later_configuration() -> None:
    log = structlog.get_logger("stream.test")
    log.info("before")
    configure_logging(Settings())
    with capture_logs() as logs:
        log.info("after")
    assert [entry["event"] for entry in logs] == ["after"]
