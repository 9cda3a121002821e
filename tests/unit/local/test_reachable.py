"""Addresses are parsed, and services that do not answer are named."""

from __future__ import annotations

import asyncio

import pytest

from stream.config.settings import Settings
from stream.local.errors import LocalStackError
from stream.local.ports import free_port
from stream.local.reachable import parse_addresses, require_services


def test_addresses_are_parsed() -> None:
    assert list(parse_addresses("a:1, b, [::1]:3", 9092)) == [("a", 1), ("b", 9092), ("::1", 3)]
    with pytest.raises(LocalStackError, match="not of the form HOST:PORT"):
        list(parse_addresses("host:port", 1))


async def test_a_missing_service_is_reported_without_secrets() -> None:
    port = free_port()
    settings = Settings.model_validate({"redis": {"url": f"redis://user:hunter2@127.0.0.1:{port}/0"}})
    with pytest.raises(LocalStackError, match=f"Redis does not answer at 127.0.0.1:{port}; start it, or correct --redis") as caught:
        await require_services(settings, kafka=False, redis=True, triton=False)
    assert "hunter2" not in str(caught.value)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    await require_services(settings, kafka=False, redis=True, triton=False)
    server.close()
