"""Free ports on loopback."""

from __future__ import annotations

import socket

import pytest

from stream.local.errors import LocalStackError
from stream.local.ports import FIRST_PORT, LAST_PORT, choose_port, free_port, is_free


def test_free_ports_are_free_and_outside_the_ephemeral_range() -> None:
    port = free_port()
    assert FIRST_PORT <= port <= LAST_PORT < 32_768
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert not is_free(port)
        with pytest.raises(LocalStackError, match=f"port {port} for Redis is in use"):
            choose_port(port, "Redis")
    assert choose_port(port, "Redis") == port


def test_no_two_services_get_the_same_port() -> None:
    """A port still looks free until its service listens, seconds later. So the ports that were given away have to be remembered."""
    ports = [free_port() for _ in range(2000)]
    assert len({*ports}) == len(ports)
