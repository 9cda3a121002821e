"""Addresses of the form HOST:PORT."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from stream.domain.address import Address

SCHEMES = frozenset(
    {"grpc", "grpcs", "http", "https", "kafka", "plaintext", "redis", "rediss", "sasl_plaintext", "sasl_ssl", "ssl", "tcp", "tls"}
)
"""Usual schemes. A message quotes no other, because it might be part of a password."""


def parse_address(text: str) -> Address:
    """Return the host and the port of ``HOST:PORT``; an IPv6 address stands in brackets.

    Raises:
        ValueError: It is nothing of the kind. The message says what is wrong, and quotes nothing that may be a password.
    """
    address = text.strip()
    scheme, separator, _ = address.partition("://")
    if separator:
        named = f"{scheme}://" if scheme.lower() in SCHEMES else "a scheme"
        raise ValueError(f"must be HOST:PORT, without {named}")
    if "@" in address:
        raise ValueError("must be HOST:PORT, without a user or a password")
    if any(part in address for part in "/?#\\"):
        raise ValueError("must be HOST:PORT, without a path")
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("must be HOST:PORT, with a port from 1 to 65535 (an IPv6 address stands in brackets: [::1]:9092)") from None
    if not host:
        raise ValueError("must be HOST:PORT, and the host is missing")
    check_host(host)
    if not port:
        raise ValueError("must be HOST:PORT, and the port is missing")
    return host, port


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Return the hosts and ports of ``HOST:PORT,HOST:PORT``. Raises ``ValueError``."""
    items = [item for item in text.split(",") if item.strip()]
    if not items:
        raise ValueError("must be HOST:PORT, or several of them, separated by commas")
    return tuple(parse_address(item) for item in items)


def check_host(host: str) -> None:
    """Raise ``ValueError`` for a text that cannot be the name or the address of a host."""
    if any(character.isspace() or not character.isprintable() for character in host):
        raise ValueError("must not have blanks or line breaks in the name of a host")
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError("must have a host name that DNS allows: parts of 1 to 63 characters") from None


def is_ipv6(host: str) -> bool:
    """Whether a text is an IPv6 address."""
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address to listen on."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
