"""Names are resolved to public addresses only."""

from __future__ import annotations

import socket

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from stream.gateway.webhooks.addresses import CheckedResolver, PrivateAddressError, is_refusal


class _Names(AbstractResolver):
    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=a, port=port, family=family, proto=0, flags=0) for a in self._addresses]

    async def close(self) -> None:
        pass


INSIDE = (
    *(("10.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("::1",), ("fe80::1%eth0",), ("::ffff:192.168.1.1",)),
    # Of NAT64 here alone, compatible with IPv4, of SIIT, of a site.
    *(("64:ff9b:1::a9fe:a9fe",), ("::7f00:1",), ("::ffff:0:7f00:1",), ("fec0::1",), ("64:ff9b::a00:1",)),
)


@pytest.mark.parametrize("addresses", INSIDE)
async def test_a_name_that_leads_inside_is_refused(addresses: tuple[str, ...]) -> None:
    with pytest.raises(PrivateAddressError):
        await CheckedResolver(_Names(*addresses)).resolve("hooks.example.com", 443)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
async def test_a_public_name_is_resolved(address: str) -> None:
    (found,) = await CheckedResolver(_Names(address)).resolve("hooks.example.com", 443)
    assert found["host"] == address


async def test_a_connection_to_such_a_name_is_never_made() -> None:
    connector = aiohttp.TCPConnector(resolver=CheckedResolver(_Names("127.0.0.1")), use_dns_cache=False)
    async with aiohttp.ClientSession(connector=connector) as http:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await http.post("https://hooks.example.com/")
    assert is_refusal(caught.value)
    assert not is_refusal(aiohttp.ServerDisconnectedError())
