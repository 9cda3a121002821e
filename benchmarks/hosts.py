"""Several workers and gateways on hosts of their own, some of which are cut off: ``python -m benchmarks.hosts``. Needs root.

Each host is a network namespace of Linux with its own address; a switch connects them. Kafka and Redis are on one of them, each worker and
each gateway on another. While sessions are sent at live pace, the cable of a worker is pulled and put back later, so that it comes back as
a zombie; and that of the gateway through which a viewer watches. The last line of the output is JSON: windows that were expected, lost,
doubled or wrong, and the same for the viewer.

    python -m benchmarks.hosts > /tmp/run && tail -n 1 /tmp/run > benchmarks/results/hosts.json
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.host_runs.network import Network, network, why_unavailable
from benchmarks.host_runs.services import KAFKA_PORT, REDIS_PORT
from benchmarks.machine import machine, versions
from stream.config.settings import Settings
from stream.kafka_admin.topics import ensure_topics
from stream.local.environment import child_environment

GATEWAY_PORT = 8080
CUT_WORKER, CUT_GATEWAY, MEND_WORKER = 0.25, 0.45, 0.75
"""When each fault comes, as a share of the time in which sessions are sent."""
READY_S = 120.0
TOKEN_NAME = "viewer"  # noqa: S105 (a name)


def measure(workers: int, gateways: int, sessions: int, seconds: int) -> dict[str, Any]:
    """Run everything, and return the result."""
    with tempfile.TemporaryDirectory(prefix="sentistream-hosts-") as folder, network() as hosts:
        directory = Path(folder)
        services = hosts.add("services")
        environment = child_environment(_settings(services))
        running = hosts.start(
            "services", ["benchmarks.host_runs.services", services, folder], os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert running.stdout is not None  # noqa: S101 - asked for above
        if running.stdout.readline() != "ready\n":
            raise RuntimeError("Kafka and Redis did not start")
        hosts.add("clients")
        _wait(hosts.start("clients", ["benchmarks.hosts", "--topics"], environment), READY_S)
        for number in range(workers):
            _start_worker(hosts, f"worker-{number}", directory, environment)
        token, access = _access(directory)
        addresses = [_start_gateway(hosts, f"gateway-{number}", directory, environment, access) for number in range(gateways)]
        _wait_for_files([directory / f"worker-{number}.ready" for number in range(workers)])
        print(f"{workers} workers and {gateways} gateways run, each on its own host", flush=True)
        traffic = hosts.start(
            "clients",
            ["benchmarks.host_runs.traffic", str(sessions), str(seconds), token, *addresses],
            environment,
            stdout=subprocess.PIPE,
        )
        _faults(hosts, seconds)
        found: dict[str, Any] = json.loads(_wait(traffic, seconds + 240.0))
    return {
        "benchmark": "hosts",
        "workers": workers,
        "gateways": gateways,
        "sessions": sessions,
        "seconds": seconds,
        **found,
        "machine": machine(),
        "versions": versions("faust-streaming", "litestar", "redis"),
    }


def _settings(services: str) -> Settings:
    plain = Settings()
    kafka = {"bootstrap": f"{services}:{KAFKA_PORT}", "session_timeout_s": 3.0, "fetch_max_wait_ms": 50}
    redis = Settings.model_validate({"redis": {"url": f"redis://{services}:{REDIS_PORT}/0", "timeout_s": 2.0}}).redis
    # A session goes on while its worker is replaced.
    windows = plain.windows.model_copy(update={"idle_after_ms": 20_000})
    return plain.model_copy(update={"kafka": plain.kafka.model_copy(update=kafka), "redis": redis, "windows": windows})


def _start_worker(hosts: Network, name: str, directory: Path, environment: Mapping[str, str]) -> None:
    hosts.add(name)
    log = (directory / f"{name}.log").open("wb")
    hosts.start(name, ["tests.support.delivery_worker", str(directory / f"{name}.ready")], environment, stdout=log, stderr=log)


def _start_gateway(hosts: Network, name: str, directory: Path, environment: Mapping[str, str], access: Path) -> str:
    address = hosts.add(name)
    log = (directory / f"{name}.log").open("wb")
    own = {"SENTISTREAM_GATEWAY__HOST": address, "SENTISTREAM_GATEWAY__ACCESS": str(access), "SENTISTREAM_GATEWAY__PORT": str(GATEWAY_PORT)}
    hosts.start(name, ["stream.cli", "gateway"], {**environment, **own}, stdout=log, stderr=log)
    return f"http://{address}:{GATEWAY_PORT}"


def _access(directory: Path) -> tuple[str, Path]:
    """A token, and the file with its hash."""
    command = [sys.executable, "-m", "stream.cli", "gateway", "token", TOKEN_NAME, "--role", "viewer", "--tenant", "*"]
    made: str = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    entry = re.search(rf"^  {TOKEN_NAME}:\n(?:    .+\n)+", made, re.MULTILINE)
    file = directory / "access.yaml"
    token = re.search(r"^sst\S+$", made, re.MULTILINE)
    assert entry is not None  # noqa: S101 - the command has succeeded
    assert token is not None  # noqa: S101
    file.write_text(f"tokens:\n{entry[0]}")
    return token[0], file


def _faults(hosts: Network, seconds: int) -> None:
    began = time.monotonic()
    for share, what, name in (
        (CUT_WORKER, hosts.cut, "worker-0"),
        (CUT_GATEWAY, hosts.cut, "gateway-0"),
        (MEND_WORKER, hosts.mend, "worker-0"),
    ):
        time.sleep(max(0.0, began + share * seconds - time.monotonic()))
        what(name)
        print(f"{time.monotonic() - began:5.1f} s: {what.__name__} {name}", flush=True)


def _wait_for_files(files: Sequence[Path]) -> None:
    until = time.monotonic() + READY_S
    while not all(file.is_file() for file in files):
        if time.monotonic() > until:
            raise RuntimeError("the workers did not get ready")
        time.sleep(0.2)


def _wait(process: subprocess.Popen[str], seconds: float) -> str:
    """The last line that a process has printed, once it has ended well."""
    output, _ = process.communicate(timeout=seconds)
    if process.returncode:
        raise RuntimeError(f"{process.args!r} has failed")
    return "" if not output else output.splitlines()[-1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the result, and return 1 if a window is lost, doubled or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--gateways", type=int, default=2)
    parser.add_argument("--sessions", type=int, default=24)
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--topics", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.topics:
        from stream.config.load import load_settings  # noqa: PLC0415 - on the host of the clients only

        ensure_topics(load_settings().kafka)
        return 0
    if (reason := why_unavailable()) is not None:
        print(reason, file=sys.stderr)
        return 2
    result = measure(given.workers, given.gateways, given.sessions, given.seconds)
    print(json.dumps(result))
    wrong = sum(result["windows"][name] for name in ("lost", "doubled", "wrong")) + result["viewer"]["missed"] + result["viewer"]["doubled"]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
