"""Every test carries the marker of its folder; what integration and fault tests share."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stream.local.redis_server import RedisServer
from tests.support.optional_packages import pytest_make_collect_report

__all__ = ["pytest_make_collect_report"]  # pytest takes hooks from here

HERE = Path(__file__).parent
os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Before anybody imports torch: on a busy machine its threads wait for each other longer than they save."""


ALONE = ("integration", "faults", "end_to_end")
"""These start servers and wait for them: they run last, one at a time, with nothing beside them."""


@pytest.hookimpl(tryfirst=True)  # pytest-xdist looks for groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _folder(item) in ALONE)
    for item in items:
        item.add_marker(_folder(item))
        if _folder(item) in ALONE:
            item.add_marker(pytest.mark.xdist_group("services"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make sure that pytest-xdist heeds the group: it marks the ids of the tests."""
    if getattr(session.config.option, "loadgroup", False):
        loose = [item.nodeid for item in session.items if _folder(item) in ALONE and not item.nodeid.endswith("@services")]
        if loose:
            raise pytest.UsageError(f"pytest-xdist would run tests with servers beside each other, for instance {loose[0]}")


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(HERE).parts[0]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """An embedded Redis of the test's own, which it may stop and kill."""
    server = RedisServer(tmp_path)
    await server.start()
    yield server
    server.process.kill()
