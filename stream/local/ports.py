"""Free ports on the loopback interface."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator

from stream.local.errors import LocalStackError

LOOPBACK = "127.0.0.1"

FIRST_PORT, LAST_PORT = 15_000, 31_999
"""Below the range from which Linux takes the ports of outgoing connections (32768 and up). A server that restarts needs its port again, and
no connection of another program can have taken a port below that range."""
ATTEMPTS = 1000
"""This many ports in a row are in use only if something is wrong with the machine."""
SHARES = 61
"""Ports are divided into this many shares, and each process begins with the share of its own id."""


def is_free(port: int) -> bool:
    """True if a server can listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _shuffled() -> Iterator[int]:
    """All ports in random order, the process's own share first: two stacks that start at the same time rarely try the same port."""
    share = os.getpid() % SHARES
    while True:
        ports = random.sample(range(FIRST_PORT, LAST_PORT + 1), LAST_PORT + 1 - FIRST_PORT)
        yield from sorted(ports, key=lambda port: port % SHARES != share)


_ports = _shuffled()


def free_port() -> int:
    """Return a port that is free now and that this process has not returned before: the first server may not be listening on it yet.

    Raises:
        LocalStackError: There is none.
    """
    for _ in range(ATTEMPTS):
        port = next(_ports)
        if is_free(port):
            return port
    raise LocalStackError(f"no free port between {FIRST_PORT} and {LAST_PORT}; stop some servers on this machine")


def choose_port(port: int, service: str) -> int:
    """Return the port if it is free; for 0 return any free port.

    Raises:
        LocalStackError: The port is in use; the message names the service that needs it.
    """
    if port == 0:
        return free_port()
    if not is_free(port):
        raise LocalStackError(f"port {port} for {service} is in use by another program; stop that program or choose another port")
    return port
