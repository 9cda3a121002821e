"""Free ports on the loopback interface."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator

from stream.local.errors import LocalStackError

LOOPBACK = "127.0.0.1"

FIRST_PORT, LAST_PORT = 15_000, 31_999
"""Below the range that Linux takes outgoing connections' ports from: nobody's connection can sit on the port of a server that restarts."""
SHARES = 61


def is_free(port: int) -> bool:
    """True when a server can listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _dealt() -> Iterator[int]:
    """All ports in random order, a share that depends on the process first: two stacks that start at once do not choose the same port."""
    share = os.getpid() % SHARES
    while True:
        ports = random.sample(range(FIRST_PORT, LAST_PORT + 1), LAST_PORT + 1 - FIRST_PORT)
        yield from sorted(ports, key=lambda port: port % SHARES != share)


_ports = _dealt()


def free_port() -> int:
    """A port that is free now and likely to stay so until its server listens: this process is not given it a second time."""
    for _ in range(1000):
        port = next(_ports)
        if is_free(port):
            return port
    raise LocalStackError(f"no free port between {FIRST_PORT} and {LAST_PORT}; stop some servers on this machine")


def choose_port(wanted: int, part: str) -> int:
    """The wanted port if it is free, or any free one where 0 is wanted. Raises `LocalStackError`."""
    if wanted == 0:
        return free_port()
    if not is_free(wanted):
        raise LocalStackError(f"port {wanted} for {part} is in use by another program; stop that program or choose another port")
    return wanted
