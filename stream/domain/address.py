"""Addresses of servers: a host and a port."""

from __future__ import annotations

Address = tuple[str, int]


def format_address(address: Address) -> str:
    """``HOST:PORT``; an IPv6 address stands in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
