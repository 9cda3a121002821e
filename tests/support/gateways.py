"""Gateways in the process of a test, on a port of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
from pydantic import SecretStr

from stream.config.gateway_settings import GatewaySettings
from stream.config.service_settings import RedisSettings
from stream.config.settings import Settings
from stream.gateway.server import address_of, listen, run_gateway
from stream.gateway.tokens import new_token
from stream.gateway.views import Batch


def gateway_settings(redis_url: str, **of_gateway: object) -> Settings:
    """Settings of a gateway on a Redis."""
    redis = RedisSettings(url=SecretStr(redis_url), timeout_s=1.0)
    return Settings(redis=redis, gateway=GatewaySettings.model_validate(of_gateway))


@asynccontextmanager
async def running_gateway(settings: Settings, port: int = 0, *, loaded: bool = True) -> AsyncIterator[str]:
    """Run a gateway; its address is yielded once it answers, and with ``loaded`` once it has read what Redis holds."""
    listener = listen("127.0.0.1", port)
    address = address_of(listener).rstrip("/")
    stop, started = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(run_gateway(settings, listener, stop, started.set))
    try:
        async with asyncio.timeout(20):
            await started.wait()
            if loaded:
                await _until_loaded(address)
        yield address
    finally:
        stop.set()
        await running


async def _until_loaded(address: str) -> None:
    async with httpx.AsyncClient(base_url=address, verify=False, timeout=None) as client:
        while (await client.get("/api/v1/sessions")).status_code == 503:
            await asyncio.sleep(0.05)


def make_access_file(path: Path, entries: Mapping[str, tuple[str, str]], extra: str = "") -> dict[str, str]:
    """Write an access file: name → role and tenants. Returns name → token."""
    tokens, lines = {}, ["tokens:"]
    for name, (role, tenants) in entries.items():
        tokens[name], hashed = new_token(name)
        lines += [f"  {name}:", f"    role: {role}", f"    tenants: '{tenants}'", f"    hash: {hashed}"]
    path.write_text("\n".join([*lines, extra]) + "\n")
    return tokens


def bearer(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


class Events:
    """The events of a stream that is being read."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.last_id: str | None = None

    async def next(self) -> tuple[str, bytes]:
        """Name and data of the next event; comments are passed over."""
        name, data, found_id = "message", b"", None
        async for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = value.encode()
            elif field == "id":
                found_id = value
            elif not line and data:
                self.last_id = found_id or self.last_id
                return name, data
        raise EOFError("the stream has ended")

    async def named(self, wanted: str) -> bytes:
        """The data of the next event with a name."""
        while True:
            name, data = await self.next()
            if name == wanted:
                return data

    async def batch(self) -> Batch:
        """The next batch."""
        return msgspec.json.decode(await self.named("batch"), type=Batch)


@asynccontextmanager
async def events(address: str, path: str = "/api/v1/stream", headers: Mapping[str, str] | None = None) -> AsyncIterator[Events]:
    """Read a stream."""
    timeout = httpx.Timeout(30.0)
    async with (
        httpx.AsyncClient(base_url=address, timeout=timeout, verify=False) as client,
        client.stream("GET", path, headers=dict(headers or {})) as response,
    ):
        response.raise_for_status()
        yield Events(response)
