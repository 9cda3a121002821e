"""The services of docker-compose.hardened.yml without containers: their settings, certificates and users, on ports of this machine."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stream.aio.probes import listens
from stream.config.project import PROJECT_ROOT
from stream.local.ports import LOOPBACK, free_port
from stream.local.process import ManagedProcess
from tests.support.kafka import CLUSTER_ID, START_TIMEOUT_S, STOP_TIMEOUT_S, java
from tests.support.redis_servers import tls_server

FILES = ("docker-compose.yml", "docker-compose.hardened.yml")
MOUNT = "/etc/sentistream"
"""Where each container sees its own folder of secrets."""
KAFKA_DATA = "/var/lib/kafka/data"


class _Reset:
    """The value ``!reset``: the key of the file before is removed."""


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_constructor("!reset", lambda _loader, _node: _Reset())


def hardened_services() -> dict[str, dict[str, Any]]:
    """The services of both files, merged as Compose does: mappings by key, volumes and files of variables one after the other."""
    merged: dict[str, Any] = {}
    for name in FILES:
        _merge(merged, yaml.load((PROJECT_ROOT / name).read_text(encoding="utf-8"), _Loader)["services"])
    return merged


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, _Reset):
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif key in {"volumes", "env_file"} and key in into:
            into[key] = [*into[key], *value]
        else:
            into[key] = value


def make_secrets(directory: Path) -> None:
    """Run the script of the page."""
    script = PROJECT_ROOT / "configs" / "hardened" / "make-secrets.sh"
    subprocess.run(["sh", str(script), str(directory)], check=True, capture_output=True)


def kafka_properties(environment: Mapping[str, str]) -> dict[str, str]:
    """The server's properties, as the image of Apache Kafka makes them of its variables."""
    named = {name.removeprefix("KAFKA_"): value for name, value in environment.items() if name.startswith("KAFKA_")}
    return {name.replace("___", "-").replace("__", "\0").replace("_", ".").replace("\0", "_").lower(): v for name, v in named.items()}


@dataclass(frozen=True, slots=True)
class Hardened:
    """The running services.

    Attributes:
        secrets: The folder of secrets.
        kafka_ports: By name of a listener of Kafka, its port.
        redis_port: The port of Redis.
    """

    secrets: Path
    kafka_ports: Mapping[str, int]
    redis_port: int

    def here(self, service: str, text: str) -> str:
        """A value of a service's settings, with addresses and paths of this machine."""
        for name, port in (("SERVICES", 29092), ("HOST", 9092), ("ADMIN", 9094)):
            text = text.replace(f"kafka:{port}", f"{LOOPBACK}:{self.kafka_ports[name]}")
        text = text.replace("@redis:6379", f"@{LOOPBACK}:{self.redis_port}")
        return text.replace(MOUNT, str(self.secrets / service))

    def user_settings(self, user: str) -> dict[str, str]:
        """The variables of a program that logs in as a user, from its ``settings.env``; Kafka's address is that of the services."""
        lines = (self.secrets / user / "settings.env").read_text(encoding="utf-8").splitlines()
        given = {"SENTISTREAM_KAFKA__BOOTSTRAP": "kafka:29092"} | dict(line.split("=", 1) for line in lines)
        return {name: self.here(user, value) for name, value in given.items()}


async def start_hardened(directory: Path) -> tuple[Hardened, list[ManagedProcess]]:
    """Start Kafka and Redis with the settings of the Compose files; the caller ends the processes."""
    make_secrets(directory / "secrets")
    services = hardened_services()
    listeners = [entry.partition("://")[0] for entry in services["kafka"]["environment"]["KAFKA_LISTENERS"].split(",")]
    stack = Hardened(directory / "secrets", {name: free_port() for name in listeners}, free_port())
    kafka = await _start_kafka(stack, directory, services["kafka"]["environment"])
    return stack, [kafka, await _start_redis(stack, directory, services["redis"]["command"])]


async def _start_kafka(stack: Hardened, directory: Path, environment: Mapping[str, str]) -> ManagedProcess:
    properties = {name: stack.here("kafka", str(value)) for name, value in kafka_properties(environment).items()}
    at = {name: f"{name}://{LOOPBACK}:{port}" for name, port in stack.kafka_ports.items()}
    properties |= {
        "listeners": ",".join(at.values()),
        "advertised.listeners": ",".join(address for name, address in at.items() if name != "CONTROLLER"),
        "controller.quorum.voters": f"1@{LOOPBACK}:{stack.kafka_ports['CONTROLLER']}",
        "log.dirs": str(directory / "kafka"),
        # A test needs few partitions, and its workers are found dead soon.
        "offsets.topic.num.partitions": "4",
        "group.min.session.timeout.ms": "1000",
    }
    file = directory / "server.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()), encoding="utf-8")
    formatting = java("kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "-c", str(file))
    await asyncio.to_thread(subprocess.run, formatting, check=True, capture_output=True)
    command = java("-Xms64m", "-Xmx256m", "kafka.Kafka", str(file))
    kafka = ManagedProcess("Apache Kafka", command, directory / "kafka.log", stop_timeout_s=STOP_TIMEOUT_S)

    async def listening() -> bool:
        return all([await listens(LOOPBACK, port) for port in stack.kafka_ports.values()])

    await kafka.start(listening, START_TIMEOUT_S)
    return kafka


async def _start_redis(stack: Hardened, directory: Path, command: list[str]) -> ManagedProcess:
    data = directory / "redis"
    data.mkdir()
    arguments = [str(stack.redis_port) if argument == "6379" else stack.here("redis", argument) for argument in command[1:]]
    program = [str(tls_server(data)), *arguments, "--bind", LOOPBACK, "--dir", str(data)]
    redis = ManagedProcess("Redis", program, directory / "redis.log", environment={"PATH": os.defpath, "HOME": str(data)})
    await redis.start(lambda: listens(LOOPBACK, stack.redis_port), START_TIMEOUT_S)
    return redis
