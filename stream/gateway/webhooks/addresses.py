"""Which addresses a gateway may call.

A name is resolved here and the connection goes to the address that was checked, not to the name: otherwise a name that resolves differently
the second time would pass the check.
"""

from __future__ import annotations

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

Address = IPv4Address | IPv6Address

TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses in the form of IPv6, for NAT64."""
GLOBAL = ipaddress.IPv6Network("2000::/3")
"""All that the public internet has of IPv6. Of the rest, also what nobody lists as private may lead into a network."""

LOCAL_NAMES = ("localhost", "localhost.localdomain")


class PrivateAddressError(OSError):
    """A name leads to an address that may not be called."""


def is_refusal(error: BaseException | None) -> bool:
    """Whether an error, or what led to it, is that an address may not be called."""
    return error is not None and (isinstance(error, PrivateAddressError) or is_refusal(error.__cause__ or getattr(error, "os_error", None)))


def is_public(address: Address) -> bool:
    """Whether an address is of the public internet, also if it is an IPv4 address in the form of IPv6."""
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    teredo = getattr(address, "teredo", None)
    embedded = inner or (teredo[1] if teredo else None) or _translated(address)
    if isinstance(address, IPv6Address) and embedded is None and address not in GLOBAL:
        return False
    return address.is_global and not address.is_multicast and (embedded is None or is_public(embedded))


def is_private_literal(host: str) -> Address | None:
    """The address that a host names by itself, if it is not public; None for public addresses and for names."""
    if host.lower().rstrip(".") in LOCAL_NAMES:
        return IPv4Address("127.0.0.1")
    try:
        # As resolvers read them, too: 127.1, 0x7f000001, 2130706433.
        address = ipaddress.ip_address(host if ":" in host else socket.inet_ntoa(socket.inet_aton(host)))
    except (OSError, ValueError):
        return None
    return None if is_public(address) else address


def _translated(address: Address) -> IPv4Address | None:
    """The IPv4 address inside an address of NAT64."""
    return IPv4Address(int(address) & 0xFFFFFFFF) if isinstance(address, IPv6Address) and address in TRANSLATED else None


class CheckedResolver(AbstractResolver):
    """Resolves names to public addresses only."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = resolver or DefaultResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """The addresses of a name. Raises `PrivateAddressError` if one of them is not public."""
        found = await self._resolver.resolve(host, port, family)
        if not all(is_public(ipaddress.ip_address(result["host"].partition("%")[0])) for result in found):
            raise PrivateAddressError("the name leads to an address of a private network")
        return found

    async def close(self) -> None:
        """Release what the resolver holds."""
        await self._resolver.close()
