"""Network namespaces of Linux as hosts on one switch. Needs root."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

SWITCH = "sentistream-switch"
NETWORK = "10.99.0"


def why_unavailable() -> str | None:
    """Why no namespaces can be made here; None if they can."""
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    tried = subprocess.run(["ip", "netns", "list"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "the command ip (iproute2) is missing or may not make network namespaces"


@dataclass(slots=True)
class Network:
    """Hosts by name, with their addresses. The switch is in a namespace of its own, so nothing of the machine's network changes."""

    addresses: dict[str, str] = field(default_factory=dict)

    def add(self, name: str) -> str:
        """Add a host; returns its address."""
        number = len(self.addresses) + 1
        host, cable = f"sentistream-{name}", f"c{number}"
        address = f"{NETWORK}.{number}"
        _ip("netns", "add", host)
        self.addresses[name] = address
        _ip("link", "add", cable, "netns", SWITCH, "type", "veth", "peer", "name", "eth0", "netns", host)
        _in(SWITCH, "ip", "link", "set", cable, "master", "bridge", "up")
        _in(host, "ip", "link", "set", "lo", "up")
        _in(host, "ip", "address", "add", f"{address}/24", "dev", "eth0")
        _in(host, "ip", "link", "set", "eth0", "up")
        return address

    def cut(self, name: str) -> None:
        """Pull a host's cable."""
        _in(f"sentistream-{name}", "ip", "link", "set", "eth0", "down")

    def mend(self, name: str) -> None:
        """Put it back."""
        _in(f"sentistream-{name}", "ip", "link", "set", "eth0", "up")

    def start(self, name: str, module: Sequence[str], environment: Mapping[str, str], **files: object) -> subprocess.Popen[str]:
        """Run a Python module on a host."""
        command = ["ip", "netns", "exec", f"sentistream-{name}", sys.executable, "-m", *module]
        return subprocess.Popen(command, env=dict(environment), text=True, **files)  # type: ignore[call-overload,no-any-return]


@contextmanager
def network() -> Iterator[Network]:
    """A switch, without hosts at first; all are removed at the end, with what still runs on them."""
    _ip("netns", "add", SWITCH)
    made = Network()
    try:
        _in(SWITCH, "ip", "link", "add", "bridge", "type", "bridge")
        _in(SWITCH, "ip", "link", "set", "bridge", "up")
        yield made
    finally:
        for name in [SWITCH, *(f"sentistream-{host}" for host in made.addresses)]:
            left = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout.split()
            for pid in left:
                subprocess.run(["kill", "-KILL", pid], check=False, capture_output=True)
            _ip("netns", "del", name)


def _in(namespace: str, *command: str) -> None:
    subprocess.run(["ip", "netns", "exec", namespace, *command], check=True, capture_output=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
