"""A real Apache Kafka on loopback for tests and benchmarks: one process in KRaft mode, its data kept in a directory.

``SENTISTREAM_KAFKA_HOME`` says where it is: a directory whose ``libs/`` holds the server's jars, as in an unpacked release. Needs Java 17.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.aio.probes import listens
from stream.local.ports import LOOPBACK, free_port
from stream.local.process import ManagedProcess

CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
JAVA_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}{listeners}
advertised.listeners=PLAINTEXT://{host}:{port}{advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
log.dirs={data}
num.partitions=6
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""


def kafka_home() -> Path:
    """The unpacked release of Apache Kafka that ``SENTISTREAM_KAFKA_HOME`` names; see `why_unavailable`."""
    return Path(os.environ.get("SENTISTREAM_KAFKA_HOME", ""))


def why_unavailable() -> str | None:
    """Why Apache Kafka cannot run here; None when it can."""
    home = kafka_home()
    if not home.name:
        return "SENTISTREAM_KAFKA_HOME is not set (to an unpacked release of Apache Kafka)"
    if not any((home / "libs").glob("kafka_*.jar")):
        return f"no Apache Kafka in {home.name}/libs (set SENTISTREAM_KAFKA_HOME to an unpacked release)"
    if shutil.which("java") is None:
        return "no java on the PATH (Apache Kafka 4 needs Java 17 or newer)"
    output = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', output)
    if version is None or int(version[1]) < 17:
        return "the java on the PATH is older than 17"
    return None


@dataclass(frozen=True, slots=True)
class Listener:
    """Another port of the broker.

    Attributes:
        protocol: ``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``.
        advertised: ``HOST:PORT`` that clients are told to use; None for the port itself.
    """

    protocol: str
    advertised: str | None = None


class ApacheKafka:
    """A broker that can be stopped, killed and started again with its data, on the same port.

    Args:
        directory: Holds data, configuration and log.
        port: Port to listen on; 0 = any free port.
        extra_properties: Lines for ``server.properties``; they override the others.
        proxy_ports: Ports of proxies in front of it. For each the broker listens on another port (see `port_behind`), and tells the clients
            that connect there to use the proxy.
        listeners: Other ports by name (see `ports`).
        scram_users: Passwords by user, for SCRAM-SHA-256.
        host: Address to listen on, and that clients are told to use.
    """

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        extra_properties: str = "",
        proxy_ports: Sequence[int] = (),
        listeners: Mapping[str, Listener] | None = None,
        scram_users: Mapping[str, str] | None = None,
        host: str = LOOPBACK,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._host = host
        self.port = port or free_port()
        self.port_behind = {proxy: free_port() for proxy in proxy_ports}
        """By port of a proxy, the port to which it has to forward."""
        self._directory = directory
        self._properties = directory / "server.properties"
        proxies = {f"PROXY{number}": proxy for number, proxy in enumerate(self.port_behind)}
        self.ports = {name: free_port() for name in listeners or {}}
        """Port of each other listener."""
        self._scram_users = scram_users or {}
        others = {name: Listener("PLAINTEXT", f"{LOOPBACK}:{proxy}") for name, proxy in proxies.items()} | dict(listeners or {})
        at = {name: self.port_behind[proxy] for name, proxy in proxies.items()} | self.ports
        self.controller_port = free_port()
        text = PROPERTIES.format(
            host=host,
            port=self.port,
            controller=self.controller_port,
            data=directory / "data",
            listeners="".join(f",{name}://{host}:{at[name]}" for name in others),
            advertised="".join(f",{name}://{other.advertised or f'{host}:{at[name]}'}" for name, other in others.items()),
            protocols="".join(f",{name}:{other.protocol}" for name, other in others.items()),
        )
        self._properties.write_text(text + extra_properties, encoding="utf-8")
        command = java("-Xms64m", "-Xmx256m", "kafka.Kafka", str(self._properties))
        self.process = ManagedProcess("Apache Kafka", command, directory / "kafka.log", stop_timeout_s=STOP_TIMEOUT_S)

    @property
    def bootstrap(self) -> str:
        """``HOST:PORT`` for clients."""
        return f"{self._host}:{self.port}"

    async def start(self) -> None:
        """Start the broker and wait until it listens on all its ports (about 3 s). A new directory is formatted first."""
        if not (self._directory / "data" / "meta.properties").is_file():
            self._format()
        await self.process.start(self._listens, START_TIMEOUT_S)

    async def _listens(self) -> bool:
        # The broker opens its ports one after the other.
        for port in (self.port, *self.port_behind.values(), *self.ports.values()):
            if not await listens(self._host, port):
                return False
        return True

    def _format(self) -> None:
        users = [f"SCRAM-SHA-256=[name={user},password={password}]" for user, password in self._scram_users.items()]
        scram = [argument for user in users for argument in ("--add-scram", user)]
        command = java("kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "-c", str(self._properties), *scram)
        subprocess.run(command, check=True, capture_output=True)

    async def stop(self) -> None:
        """Stop the broker in order; the data stays."""
        await self.process.stop()

    def kill(self) -> None:
        """Kill the broker, as in a crash; the data stays."""
        self.process.kill()


def java(*arguments: str) -> list[str]:
    """The command that runs a class of Kafka's."""
    return ["java", *JAVA_OPTIONS, "-cp", str(kafka_home() / "libs" / "*"), *arguments]
