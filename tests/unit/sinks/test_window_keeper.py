from __future__ import annotations

import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from stream.config.worker_settings import ExplanationSettings
from stream.sinks import window_keeper
from stream.sinks.window_keeper import WindowKeeper
from stream.sinks.window_store import WindowStore
from tests.fakes.stored_windows import make_stored

SETTINGS = ExplanationSettings()


def windows_in(path: Path) -> int:
    store = WindowStore(path, retention_hours=72.0, max_mb=10)
    count = sum(store.sessions().values())
    store.close()
    return count


async def test_a_window_is_in_the_store_when_keeping_it_returns(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with WindowKeeper(path, SETTINGS) as keeper:
        await keeper.keep(make_stored())
        assert windows_in(path) == 1
        assert (keeper.kept, keeper.left_out) == (1, 0)


async def test_a_broken_disk_stops_nobody_and_is_logged_once(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    with capture_logs() as logs:
        async with WindowKeeper(tmp_path / "store.db", SETTINGS) as keeper:
            for end_ms in (5000, 7000, 9000):
                await keeper.keep(make_stored(end_ms))
            assert (keeper.kept, keeper.left_out) == (0, 3)
    assert [entry["event"] for entry in logs] == ["windows_not_kept"]


async def test_a_store_that_works_again_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_keeper, "RETRY_S", 0.0)
    path = tmp_path / "store.db"
    path.mkdir()
    async with WindowKeeper(path, SETTINGS) as keeper:
        await keeper.keep(make_stored(5000))
        path.rmdir()
        await keeper.keep(make_stored(7000))
        assert (keeper.kept, keeper.left_out) == (1, 1)
    assert windows_in(path) == 1


async def test_a_disk_that_hangs_delays_a_window_for_a_bounded_time_and_fills_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_keeper, "LONGEST_S", 0.01)
    monkeypatch.setattr(window_keeper, "MOST_WAITING", 2)
    free = threading.Event()
    monkeypatch.setattr(WindowStore, "put", lambda _store, _window: free.wait(10))
    async with WindowKeeper(tmp_path / "store.db", SETTINGS) as keeper:
        for end_ms in (5000, 7000, 9000):
            await keeper.keep(make_stored(end_ms))
        assert keeper.left_out == 1
        free.set()
