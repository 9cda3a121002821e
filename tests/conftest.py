"""Every test carries the marker of its folder; what integration and fault tests share."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest

from stream.local.redis_server import RedisServer

HERE = Path(__file__).parent
os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Before anybody imports torch: on a busy machine its threads wait for each other longer than they save."""


WITH_SERVERS = ("integration", "faults", "end_to_end")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its folder and sort: the long waits for servers first, pure code next, tests marked ``alone`` last."""
    for item in items:
        item.add_marker(_folder(item))
    items.sort(key=lambda item: (_is_alone(item), _folder(item) not in WITH_SERVERS))


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outside of pytest-timeout: waiting for the lock is not the test's time
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Keep a test marked ``alone`` and the tests of other pytest processes apart, with a lock on this file."""
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if _is_alone(item) else fcntl.LOCK_SH)
        return (yield)


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(HERE).parts[0]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """An embedded Redis of the test's own, which it may stop and kill."""
    server = RedisServer(tmp_path)
    await server.start()
    yield server
    server.process.kill()
