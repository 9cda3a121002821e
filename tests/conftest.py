"""Every test carries the marker of its folder; what integration and fault tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stream.local.redis_server import RedisServer
from tests.support.optional_packages import pytest_make_collect_report
from tests.support.timeouts import pytest_timeout_set_timer

__all__ = ["pytest_make_collect_report", "pytest_timeout_set_timer"]  # pytest takes hooks from here

HERE = Path(__file__).parent
os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Before anybody imports torch: on a busy machine its threads wait for each other longer than they save."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs with SIGINT ignored, and programs that tests start would inherit that: their Ctrl-C would do nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)


SAID = "secretword"
"""What everybody says in the chunks of `tests.fakes.processing_context`."""

WITH_SERVERS = ("integration", "faults", "end_to_end", "browser")
"""These mostly wait. Each pytest process has servers of its own, so they run beside each other."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its folder, and put the long ones, those with servers, first: at the end no process waits long for another."""
    for item in items:
        item.add_marker(_folder(item))
    items.sort(key=lambda item: _folder(item) not in WITH_SERVERS)


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(HERE).parts[0]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """An embedded Redis of the test's own, which it may stop and kill."""
    server = RedisServer(tmp_path)
    await server.start()
    yield server
    server.process.kill()


@pytest.fixture(autouse=True)
def logs_hold_no_words(request: pytest.FixtureRequest) -> Iterator[None]:
    """What people said in a test with servers stands in no log that its programs wrote, whatever the test did to them."""
    folder: Path | None = None
    if _folder(request.node) in ("integration", "faults") and "tmp_path" in request.fixturenames:
        folder = request.getfixturevalue("tmp_path")
    yield
    if folder is not None:
        # The files of Apache Kafka whose names are numbers are the topics themselves.
        logs = [log for log in folder.rglob("*.log") if not log.stem.isdigit()]
        found = [log.name for log in logs if SAID.encode() in log.read_bytes()]
        assert not found, f"{found} hold a word that was said"
